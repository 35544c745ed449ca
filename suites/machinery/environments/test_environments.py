"""The environment store, with real virtual environments and the real pip, on wheels of a torch that is no torch."""

import contextlib
import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from packaging.version import Version

from fixtures.environments.additions import parse_additions
from fixtures.environments.environment import Environments, Recipe
from fixtures.environments.failures import Unusable
from fixtures.environments.interpreter import import_torch
from fixtures.environments.pip import make_venv
from fixtures.environments.project import Project
from fixtures.environments.sides import Interpreter, parse_candidate, pinned
from fixtures.environments.store import MARKER, Store
from fixtures.record.file_names import ROOT
from suites.machinery.making.children import PATIENCE
from suites.machinery.making.wheels import make_wheel, tell

pytestmark = [pytest.mark.pip, pytest.mark.usefixtures("wheels")]

IMPORT_SECONDS = 30


@pytest.fixture
def environments(tmp_path, said):
    groups = {"nothing": [], "beside": ["beside"], "lacking": ["lacking", "beside>=1"], "newer": ["beside>=2"]}
    needs = [{"torch": "<2.3", "packages": ["old_numpy"]}]
    project = Project(("1.0",), "1.0", "1.0", groups, needs)
    return Environments(Store(tmp_path / "store", said.append), project)


def built(said):
    """Number of environments with a torch that were built."""
    return sum(line.startswith("building the environment for ") and "the group" not in line for line in said)


def test_a_copy_of_a_virtual_environment_is_what_virtualenv_makes(empty_venv, copied_venvs, tmp_path):
    def entries(folder):
        """Paths in a folder, with what links point to."""
        return {path.relative_to(folder): path.is_symlink() and path.readlink() for path in folder.rglob("*")}

    made, copied = tmp_path / "made", tmp_path / "copied"
    make_venv(made, print)
    copied_venvs(copied, print)

    assert entries(copied) == entries(made)
    # It holds the command line that made it.
    assert (copied / "pyvenv.cfg").read_text().replace(str(empty_venv), str(made)) == (made / "pyvenv.cfg").read_text()


def test_a_pinned_version_is_built_once(environments, wheels, said):
    make_wheel(wheels, "9.0")

    with environments.hold("nothing", pinned("9.0")) as first:
        assert first.import_torch(IMPORT_SECONDS) == "9.0"
    make_wheel(wheels, "9.0.1")
    with environments.hold("nothing", pinned("9.0")) as second:
        assert second.python == first.python

    assert built(said) == 1


def test_another_file_of_the_same_version_is_another_torch(environments, wheels, said):
    make_wheel(wheels, "9.0", "built = 'monday'")
    with environments.hold("nothing", pinned("9.0")) as environment:
        assert tell(environment, "torch.built") == "monday"

    make_wheel(wheels, "9.0", "built = 'tuesday'")

    with environments.hold("nothing", pinned("9.0")) as environment:
        assert tell(environment, "torch.built") == "tuesday"
    assert built(said) == 2


def test_a_torch_that_somebody_else_put_in_is_replaced(environments, wheels):
    make_wheel(wheels, "9.0")
    with environments.hold("nothing", pinned("9.0")) as environment:
        other = make_wheel(wheels.parent / "elsewhere", "8.0")
        subprocess.run([environment.python, "-m", "pip", "install", "-q", other], check=True)

    with environments.hold("nothing", pinned("9.0")) as environment:
        assert environment.import_torch(IMPORT_SECONDS) == "9.0"


def test_an_interrupted_build_is_not_reused(environments, wheels, said):
    make_wheel(wheels, "9.0")
    with environments.hold("nothing", pinned("9.0")) as environment:
        folder = environment.folder
    (folder / MARKER).unlink()
    (folder / "left behind").touch()

    with environments.hold("nothing", pinned("9.0")) as environment:
        assert environment.folder == folder

    assert not (folder / "left behind").exists()
    assert built(said) == 2


def test_a_build_that_fails_leaves_nothing(environments, tmp_path):
    with pytest.raises(Unusable), environments.hold("nothing", pinned("9.0")):
        pass

    assert not [path for path in (tmp_path / "store").iterdir() if path.is_dir()]


def test_packages_are_part_of_the_key(environments, wheels):
    make_wheel(wheels, "9.0")
    make_wheel(wheels, "1.0", name="beside")

    with environments.hold("nothing", pinned("9.0")) as bare, environments.hold("beside", pinned("9.0")) as full:
        assert bare.python != full.python
        assert tell(full, "__import__('beside').__version__") == "1.0"


def test_an_old_release_gets_what_it_needs(environments, wheels):
    make_wheel(wheels, "2.2")
    make_wheel(wheels, "1.0", name="old_numpy")

    with environments.hold("nothing", pinned("2.2")) as environment:
        assert tell(environment, "__import__('old_numpy').__version__") == "1.0"


def test_an_unpinned_requirement_is_resolved_anew(environments, wheels, tmp_path, said):
    wanted = parse_candidate("torch>=9", tmp_path)
    make_wheel(wheels, "9.0")
    make_wheel(wheels, "10.0.dev1")
    with environments.hold("nothing", wanted) as environment:
        assert environment.import_torch(IMPORT_SECONDS) == "9.0"
        old = environment.folder
    with environments.hold("nothing", wanted) as environment:
        assert environment.folder == old
    assert built(said) == 1

    make_wheel(wheels, "9.1")

    with environments.hold("nothing", wanted) as environment:
        assert environment.import_torch(IMPORT_SECONDS) == "9.1"
    assert not old.exists(), "superseded, and yet kept"


def test_what_is_superseded_stays_while_it_is_used(environments, wheels, tmp_path):
    wanted = parse_candidate("torch>=9", tmp_path)
    make_wheel(wheels, "9.0")
    with environments.hold("nothing", wanted) as old:
        make_wheel(wheels, "9.1")

        with environments.hold("nothing", wanted) as new:
            assert (tell(old, "torch.__version__"), tell(new, "torch.__version__")) == ("9.0", "9.1")


def test_pre_releases_are_for_torch_alone(environments, wheels, tmp_path):
    for version in ("9.0", "10.0.dev1"):
        make_wheel(wheels, version)
    for version in ("1.0", "2.0.dev1"):
        make_wheel(wheels, version, name="beside")

    with environments.hold("beside", parse_candidate("--pre torch", tmp_path)) as environment:
        assert environment.import_torch(IMPORT_SECONDS) == "10.0.dev1"
        assert tell(environment, "__import__('beside').__version__") == "1.0"


def test_a_wheel_is_known_by_its_content(environments, tmp_path, said):
    wheel = make_wheel(tmp_path / "vendor", "9.0+vendor", "built = 'monday'")
    wanted = parse_candidate(str(wheel), tmp_path)
    for _ in range(2):
        with environments.hold("nothing", wanted) as environment:
            assert tell(environment, "torch.built") == "monday"
    assert built(said) == 1

    make_wheel(tmp_path / "vendor", "9.0+vendor", "built = 'tuesday'")

    with environments.hold("nothing", wanted) as environment:
        assert tell(environment, "torch.built") == "tuesday"


@contextlib.contextmanager
def served(folder):
    """The URL, without scheme, under which `folder` can be downloaded."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_is_looked_at_anew_and_its_credentials_are_written_nowhere(environments, tmp_path, said):
    vendor = tmp_path / "vendor"
    make_wheel(vendor, "9.0", "built = 'monday'")
    with served(vendor) as host:
        url = f"http://user:s3cr3t@{host}/torch-9.0-py3-none-any.whl?token=s3cr3t"
        wanted = parse_candidate(f"torch @ {url}", tmp_path)
        with environments.hold("nothing", wanted) as environment:
            assert tell(environment, "torch.built") == "monday"
        make_wheel(vendor, "9.0", "built = 'tuesday'")
        with environments.hold("nothing", wanted) as environment:
            assert tell(environment, "torch.built") == "tuesday"

        missing = url.replace("torch-9.0", "torch-9.9")
        with (
            pytest.raises(Unusable) as error,
            environments.hold("nothing", parse_candidate(f"torch @ {missing}", tmp_path)),
        ):
            pass

    assert error.value.failure.blames == "surroundings"
    assert "s3cr3t" not in repr((said, error.value.failure))
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


def test_an_index_without_the_release_says_nothing(environments, wheels):
    make_wheel(wheels, "9.0")

    with (
        pytest.raises(Unusable, match=r"9\.9 was not found: pip has nothing to install") as error,
        environments.hold("nothing", pinned("9.9")),
    ):
        pass

    failure = error.value.failure
    assert (failure.stage, failure.blames) == ("install", "surroundings")
    assert "ERROR: No matching distribution found for torch==9.9" in failure.tail


@pytest.mark.parametrize("version", ["9.0", "9.9"])
def test_a_constraint_is_its_users_word(environments, wheels, tmp_path, monkeypatch, version):
    make_wheel(wheels, "9.0")
    make_wheel(wheels, "8.0")
    (tmp_path / "constraints.txt").write_text("torch<9\n")
    (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {tmp_path / 'constraints.txt'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))

    with (
        pytest.raises(Unusable, match="was not found: pip has nothing to install") as error,
        environments.hold("nothing", pinned(version)),
    ):
        pass

    assert error.value.failure.blames == "surroundings"


def test_a_wheel_for_another_system_says_nothing(environments, wheels):
    make_wheel(wheels, "9.0")
    (wheel,) = wheels.glob("torch-9.0-*")
    wheel.rename(wheel.with_name("torch-9.0-cp39-cp39-win_amd64.whl"))

    with pytest.raises(Unusable, match="was not found") as error, environments.hold("nothing", pinned("9.0")):
        pass

    assert error.value.failure.blames == "surroundings"


@pytest.mark.parametrize("retries", ["0", "1"])
def test_an_index_that_does_not_answer_says_nothing(environments, monkeypatch, retries):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_RETRIES", retries)

    with (
        pytest.raises(Unusable, match="says nothing about torch") as error,
        environments.hold("nothing", pinned("9.0")),
    ):
        pass

    assert error.value.failure.blames == "surroundings"


def test_a_package_of_ours_that_is_missing_says_nothing(environments, wheels):
    make_wheel(wheels, "9.0")

    with pytest.raises(Unusable) as error, environments.hold("beside", pinned("9.0")):
        pass

    assert error.value.failure.blames == "surroundings"


def test_a_dependency_of_torch_that_is_nowhere_is_a_refusal_too(environments, wheels):
    make_wheel(wheels, "9.0", needs=["triton==3"])

    with pytest.raises(Unusable) as error, environments.hold("nothing", pinned("9.0")):
        pass

    assert error.value.failure.blames == "surroundings"


def added(*texts):
    """Packages of a user's own, as the gate hands them over."""
    return parse_additions(texts)


def test_what_is_added_lies_beside_torch_and_our_own(environments, wheels, said):
    make_wheel(wheels, "9.0")
    make_wheel(wheels, "1.0", name="beside")
    for version in ("4.0", "5.0"):
        make_wheel(wheels, version, name="model", needs=["torch"])

    with environments.hold("beside", pinned("9.0"), added("model==4.0")) as environment:
        found = tell(
            environment, "torch.__version__, __import__('beside').__version__, __import__('model').__version__"
        )
        assert found == "9.0 1.0 4.0"
        assert environment.torch == Version("9.0")
        assert environment.folder.name.startswith("beside_9.0_with_model_4.0-")
    assert not [line for line in said if line.startswith("asking pip")], "one version is one version"


def test_what_is_added_is_part_of_the_key_and_supersedes_nothing(environments, wheels, said):
    make_wheel(wheels, "9.0")
    for version in ("4.0", "5.0"):
        make_wheel(wheels, version, name="model")
    asked = ((), added("model==4.0"), added("model==5.0"), added("model==5.0", "model>=4"))

    for _ in range(2):
        folders = []
        for additions in asked:
            with environments.hold("nothing", pinned("9.0"), additions) as environment:
                folders.append(environment.folder)

    assert len(set(folders)) == len(asked)
    assert all(folder.exists() for folder in folders)
    assert built(said) == len(asked)


def test_the_name_without_additions_is_that_of_what_was_built_before_there_were_any():
    recipe = Recipe("suites", ("a",), "9.0", "torch==9.0")
    digests = [hashlib.sha256(repr(parts).encode()).hexdigest()[:16] for parts in NAMED_BY]

    assert recipe.name == f"suites_9.0-{digests[0]}@{digests[1]}"


NAMED_BY = ((sys.version, sys.base_prefix, "9.0"), (("a",), "torch==9.0"))
"""What stood in the name of an environment before the @ and behind it."""


def test_an_addition_without_a_version_is_resolved_anew_with_the_torch_that_it_is_for(environments, wheels, said):
    """As torchvision is bound to one torch: the newest of it would fit another one."""
    for version in ("9.0", "9.1"):
        make_wheel(wheels, version)
        make_wheel(wheels, f"0.{version}", name="vision", needs=[f"torch=={version}"])

    with environments.hold("nothing", pinned("9.0"), added("vision")) as environment:
        assert tell(environment, "torch.__version__, __import__('vision').__version__") == "9.0 0.9.0"
        first = environment.folder
    with environments.hold("nothing", pinned("9.0"), added("vision")) as environment:
        assert environment.folder == first
    assert built(said) == 1

    make_wheel(wheels, "0.9.0.1", name="vision", needs=["torch==9.0"])

    with environments.hold("nothing", pinned("9.0"), added("vision")) as environment:
        assert tell(environment, "__import__('vision').__version__") == "0.9.0.1"
    assert not first.exists(), "superseded, and yet kept"


def test_an_addition_from_a_file_is_known_by_its_content(environments, wheels, tmp_path, said):
    make_wheel(wheels, "9.0")
    for built_on in ("monday", "tuesday"):
        wheel = make_wheel(tmp_path / "own", "1.0", f"built = {built_on!r}", name="model")
        for _ in range(2):
            with environments.hold("nothing", pinned("9.0"), added(f"model @ {wheel.as_uri()}")) as environment:
                assert tell(environment, "__import__('model').built") == built_on
    assert built(said) == 2


def test_an_addition_from_an_address_is_looked_at_anew_and_its_credentials_are_written_nowhere(
    environments, wheels, tmp_path, said
):
    make_wheel(wheels, "9.0")
    with served(tmp_path / "own") as host:
        for built_on in ("monday", "tuesday"):
            make_wheel(tmp_path / "own", "1.0", f"built = {built_on!r}", name="model")
            url = f"http://user:s3cr3t@{host}/model-1.0-py3-none-any.whl?token=s3cr3t"
            with environments.hold("nothing", pinned("9.0"), added(f"model @ {url}")) as environment:
                assert tell(environment, "__import__('model').built") == built_on

    assert "s3cr3t" not in repr(said)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model==4.0", "9.0 with model==4.0 cannot be installed together: no versions fit each other (Cannot install "),
        ("model", "9.0 with model cannot be installed together: no versions fit each other (Cannot install "),
        ("beside==1", "9.0 with beside==1 cannot be installed together: no versions fit each other (Cannot install "),
        (
            "model==7",
            "9.0 with model==7 was not found: pip has nothing to install (No matching distribution found for ",
        ),
        ("modelx", "9.0 with modelx was not found: pip has nothing to install (No matching distribution found for "),
    ],
)
def test_an_addition_that_does_not_fit_says_nothing_about_torch_and_does_not_replace_it(
    environments, wheels, tmp_path, text, reason
):
    for version in ("8.0", "9.0"):
        make_wheel(wheels, version)
    make_wheel(wheels, "4.0", name="model", needs=["torch==8.0"])
    for version in ("1", "2"):
        make_wheel(wheels, version, name="beside")

    with pytest.raises(Unusable) as error, environments.hold("newer", pinned("9.0"), added(text)):
        pass

    failure = error.value.failure
    assert (failure.stage, failure.blames) == ("install", "surroundings")
    assert failure.reason.startswith(reason)
    assert not [path for path in (tmp_path / "store").iterdir() if path.name.startswith("newer") and path.is_dir()]


@pytest.fixture
def imported(tmp_path):
    """Import a torch that consists of some lines of Python."""

    def imported(body, installed, timeout=IMPORT_SECONDS):
        (tmp_path / "torch.py").write_text(body)
        variables = dict(os.environ) | {"PYTHONPATH": str(tmp_path)}
        return import_torch(sys.executable, variables, installed and Version(installed), timeout)

    return imported


@pytest.mark.parametrize(
    ("body", "reason", "tail"),
    [
        ("raise ImportError('no libcudart')", "import torch failed (exit status 1)", ["ImportError: no libcudart"]),
        ("import os; os.abort()", "import torch failed (exit status -6)", []),
        ("import os; os._exit(0)", "import torch failed (exit status 0)", []),
        ("print('loading', flush=True)\n{hang}", f"import torch hung for {PATIENCE:.0f} s", ["loading"]),
        ("__version__ = '8.0'", "torch 9.0 was installed, but the one imported says it is 8.0", None),
    ],
)
def test_a_torch_that_cannot_be_imported_speaks_against_itself(imported, hang, body, reason, tail):
    with pytest.raises(Unusable) as error:
        imported(body.format(hang=hang.code), "9.0", timeout=PATIENCE)

    failure = error.value.failure
    assert (failure.stage, failure.blames, failure.reason) == ("import", "framework", reason)
    assert tail is None or list(failure.tail[-1:]) == tail


@pytest.mark.parametrize(("installed", "says"), [("9.0", "9.0+cu130"), ("9.0+cpu", "9.0"), (None, "vendor build 7")])
def test_a_local_label_may_stand_in_one_place_only(imported, installed, says):
    assert imported(f"__version__ = {says!r}", installed) == says


def test_python_path_does_not_shadow_what_was_asked_for(environments, wheels, tmp_path, monkeypatch):
    make_wheel(wheels, "9.0")
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "torch.py").write_text("__version__ = '0.1'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shadow"))

    with environments.hold("nothing", pinned("9.0")) as environment:
        assert environment.import_torch(IMPORT_SECONDS) == "9.0"


HOLDER = """\
import sys
from pathlib import Path
from fixtures.environments.environment import Environments
from fixtures.environments.project import Project
from fixtures.environments.sides import pinned
from fixtures.environments.store import Store
environments = Environments(Store(Path(sys.argv[1]), print), Project((), "", "", {"nothing": []}, []))
with environments.hold("nothing", pinned("9.0")) as environment:
    print("holds", flush=True)
    sys.stdin.readline()
"""


def test_an_environment_in_use_is_not_rebuilt_under_its_user(environments, wheels, tmp_path):
    make_wheel(wheels, "9.0", "built = 'monday'")
    holder = [sys.executable, "-c", HOLDER, str(tmp_path / "store")]
    with subprocess.Popen(holder, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        while user.stdout.readline() != "holds\n":
            assert user.poll() is None
        with environments.hold("nothing", pinned("9.0")) as shared:
            assert tell(shared, "torch.built") == "monday"
        make_wheel(wheels, "9.0", "built = 'tuesday'")

        def let_go(line):
            assert line.startswith("waiting") == (user.poll() is None)
            if line.startswith("waiting"):
                assert tell(shared, "torch.built") == "monday"
                user.communicate("")

        waiting = Environments(Store(tmp_path / "store", let_go), environments.project)
        with waiting.hold("nothing", pinned("9.0")) as environment:
            assert tell(environment, "torch.built") == "tuesday"


def contents(folder):
    """Every path in a folder, with size and time of change."""
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.fixture
def vendor(tmp_path):
    """A venv of somebody else's, with a torch and neither pip nor anything of ours."""
    folder = tmp_path / "vendor"
    command = [sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", "--no-pip", str(folder)]
    subprocess.run(command, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name, version in (("torch", "9.0+vendor"), ("beside", "1.0")):
        wheel = make_wheel(tmp_path / "made", version, "import os\nflags = os.environ.get('FLAGS')", name=name)
        subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(packages)], check=True)
    return folder


SHOW = """\
import json, subprocess, sys, torch, beside, lacking
child = [sys.executable, "-c", "import lacking, torch; print(torch.__file__)"]
found = {module.__name__: module.__file__ for module in (torch, beside)}
found["child"] = subprocess.run(child, capture_output=True, text=True).stdout.strip()
about = {"arguments": sys.argv[1:], "name": __name__, "flags": torch.flags, "lacking": lacking.__version__}
print(json.dumps({"found": found, **about}))
"""


@pytest.fixture(params=["interpreter", "link", "script"])
def interpreter(request, vendor, tmp_path):
    """Ways in which an interpreter of somebody else's may be named."""
    python = vendor / "bin" / "python"
    if request.param == "interpreter":
        return python
    if request.param == "link":
        (tmp_path / "current").symlink_to(vendor)
        return tmp_path / "current" / "bin" / "python"
    script = tmp_path / "vendor python"
    script.write_text(f'#!/bin/sh\necho "module vendor loaded"\nFLAGS=fast exec "{python}" "$@"\n')
    script.chmod(0o755)
    return script


def test_an_interpreter_is_lent_what_it_lacks_and_stays_untouched(
    environments, wheels, vendor, interpreter, tmp_path, said
):
    make_wheel(wheels, "2.0", name="beside")
    make_wheel(wheels, "3.0", name="lacking", needs=["beside"])
    (tmp_path / "showing.py").write_text(SHOW)
    before = contents(vendor)

    for _ in range(2):
        with environments.hold("lacking", Interpreter(interpreter)) as environment:
            assert environment.import_torch(IMPORT_SECONDS) == "9.0+vendor"
            run = subprocess.run(
                environment.module("showing", "-k", "a b"),
                cwd=tmp_path,
                env=environment.variables,
                capture_output=True,
                text=True,
                check=True,
            )

    shown = json.loads(run.stdout.splitlines()[-1])
    assert (shown["name"], shown["arguments"]) == ("__main__", ["-k", "a b"])
    assert shown["lacking"] == "3.0"
    assert shown["flags"] == ("fast" if interpreter.name == "vendor python" else None)
    for module, file in shown["found"].items():
        assert Path(file).resolve().is_relative_to(vendor), module
    assert contents(vendor) == before
    assert [path for path in (tmp_path / "store").rglob("*.pyc") if "site-packages" in path.parts]
    assert sum("building an overlay" in line for line in said) == 1


def test_an_interpreter_whose_own_packages_do_not_fit_is_not_forced(environments, wheels, vendor):
    make_wheel(wheels, "2.0", name="beside")
    before = contents(vendor)

    with (
        pytest.raises(Unusable) as error,
        environments.hold("newer", Interpreter(vendor / "bin" / "python")),
    ):
        pass

    assert error.value.failure.blames == "surroundings"
    assert contents(vendor) == before


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/no/such/shell\n", "cannot be run (No such file or directory)"),
        ("#!/bin/sh\necho 'license expired'\nexit 3\n", "is no usable Python (exit status 3)"),
        ("#!/bin/sh\nexec '{python}' -I -S \"$@\"\n", "has no torch"),
    ],
)
def test_an_interpreter_that_is_none_or_has_no_torch_says_nothing_about_a_torch(environments, tmp_path, script, reason):
    interpreter = tmp_path / "python"
    interpreter.write_text(script.format(python=sys.executable))
    interpreter.chmod(0o755)

    with pytest.raises(Unusable) as error, environments.hold("nothing", Interpreter(interpreter)):
        pass

    assert error.value.failure.blames == "surroundings"
    assert str(error.value) == f"{interpreter} {reason}"


def test_groups_include_groups():
    project = Project((), "", "", {"one": ["a", {"include-group": "two"}], "two": ["b", "a"]}, [])

    assert project.group("one") == ("a", "b")
