"""uv as installer: the real one, on wheels of a torch that is no torch, beside what pip makes of the same."""

from pathlib import Path

import pytest

from fixtures.environments.environment import Environments
from fixtures.environments.failures import Unusable
from fixtures.environments.project import Project
from fixtures.environments.sides import pinned
from fixtures.environments.store import MARKER, Store
from fixtures.environments.uv import INSTALLER, PIP, UV, Uv
from fixtures.gate.command import environments_of
from fixtures.record.file_names import ROOT
from suites.machinery.making.wheels import make_wheel, tell

pytestmark = pytest.mark.pip

uv = pytest.importorskip("uv", reason="comes with the dependency group machinery")


@pytest.fixture(autouse=True)
def fresh_uv(wheels, tmp_path, monkeypatch):  # noqa: ARG001 - uv is given what pip finds there
    """A uv that is on PATH and has cached nothing."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(Path(uv.find_uv_bin()).parent), prepend=":")


@pytest.fixture
def environments(tmp_path, said):
    """Environments of a store, installed by pip or uv."""

    def environments(installer, store="store"):
        project = Project(("1.0",), "1.0", "1.0", {"nothing": [], "beside": ["beside"]}, [])
        return Environments(Store(tmp_path / store, said.append), project, installer)

    return environments


def packages(environment):
    """Files of an environment's packages and their text, without what tells who installed them."""
    (folder,) = environment.folder.glob("lib/python*/site-packages")
    who = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc" and path.name not in who)
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_uv_makes_the_environment_that_pip_makes(environments, wheels, said):
    make_wheel(wheels, "9.0", needs=["beside<2"])
    for version in ("1.0", "2.0"):
        make_wheel(wheels, version, name="beside")
    made = {}
    for installer in (PIP, UV):
        with environments(installer, store=installer).hold("beside", pinned("9.0")) as environment:
            made[installer] = (packages(environment), (environment.folder / MARKER).read_text(), environment.torch)

    assert made[UV] == made[PIP]
    assert [line for line in said if line.startswith("  uv put in 2 packages in ")]


def test_environments_by_uv_share_the_files_of_a_torch(environments, wheels):
    make_wheel(wheels, "9.0")
    make_wheel(wheels, "1.0", name="beside")
    by_uv = environments(UV)

    with by_uv.hold("nothing", pinned("9.0")) as first, by_uv.hold("beside", pinned("9.0")) as second:
        files = [next(each.folder.glob("lib/python*/site-packages/torch/__init__.py")) for each in (first, second)]

    assert files[0].samefile(files[1])


def test_what_pip_refuses_is_refused_in_its_words(environments, wheels):
    make_wheel(wheels, "9.0")

    with (
        pytest.raises(Unusable, match=r"9\.9 was not found: pip has nothing to install"),
        environments(UV).hold("nothing", pinned("9.9")),
    ):
        pass


def test_a_constraint_of_pips_holds_for_uv(environments, wheels, tmp_path, monkeypatch):
    make_wheel(wheels, "9.0")
    for version in ("1.0", "2.0"):
        make_wheel(wheels, version, name="beside")
    (tmp_path / "constraints.txt").write_text("beside<2\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))

    with environments(UV).hold("beside", pinned("9.0")) as environment:
        assert {path.parts[0] for path in packages(environment) if path.parts[0].startswith("beside-")} == {
            "beside-1.0.dist-info"
        }


def test_another_file_than_pip_chose_is_not_installed(environments, wheels, said, monkeypatch):
    """Someone replaces the file after pip has looked at it: uv refuses it, and pip decides anew what there is."""
    make_wheel(wheels, "9.0", "built = 'monday'")
    install = Uv.install

    def after_a_change(self, chosen, python):
        make_wheel(wheels, "9.0", "built = 'tuesday'")
        return install(self, chosen, python)

    monkeypatch.setattr(Uv, "install", after_a_change)
    with environments(UV).hold("nothing", pinned("9.0")) as environment:
        assert tell(environment, "torch.built") == "tuesday"

    assert [line for line in said if line.startswith("  uv did not install them, pip does now: error: ")]


def test_what_has_to_be_built_is_left_to_pip(tmp_path):
    a_checkout = {"metadata": {"name": "torch"}, "download_info": {"url": "file:///src/torch", "dir_info": {}}}
    content = {"hashes": {"sha256": "0" * 64}}
    a_source = {"metadata": {"name": "torch"}, "download_info": {"url": "file:///torch-9.0.tar.gz"}}
    a_source["download_info"]["archive_info"] = content

    for item in (a_checkout, a_source):
        assert not Uv(str(tmp_path / "never called"), print).install([item], "python")


@pytest.mark.parametrize(
    ("installer", "reason"),
    [("conda", "'conda' installs nothing; accepted: pip, uv"), ("", "'' installs nothing"), (UV, "there is no uv on")],
)
def test_who_installs_is_checked_before_anything_is_held(monkeypatch, tmp_path, installer, reason):
    monkeypatch.setenv(INSTALLER, installer)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unusable) as error, environments_of(ROOT).hold("reports"):
        pass

    assert error.value.failure.blames == "surroundings"
    assert str(error.value).startswith(f"{INSTALLER}: {reason}")
