"""Text from outside: made safe where it enters, so that no renderer has to think of it."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import unicodedata

import msgspec
import pytest

from fixtures.clock.results import read_pairing, write_pairing
from fixtures.record import file_names, run_folder
from fixtures.record.failure import Failure
from fixtures.record.plan import Plan
from fixtures.record.run_folder import RecordError, read_run
from fixtures.record.safe_text import LONGEST_KEPT, Ambiguous, cleaned, is_clean
from fixtures.rules.known_violations import KnownError, read_known
from fixtures.rules.policy import PolicyError, read_policy
from reports.commands import command_line
from suites.framework.exact_claims import counterexample
from suites.machinery.making.pages import hostile_material
from suites.machinery.making.runs import claim, contract, failure, run, undecided, violated, write
from suites.machinery.making.times import pairing, timed

NASTY = "a\nb\r\x1b[2J\x1b]0;title\x07\u202ec\u2028d\x00\x7f\u200b" + "e" * (LONGEST_KEPT + 1)
"""Line ends of four kinds, a cleared screen, a window's title, a turned direction, nothing, and more than is kept."""

WHOLE = {
    "base": run(claim(), claim(dtype="bfloat16"), contract(), digests={"a": "b"}),
    "stopped": run(
        claim(note="of the baseline"),
        violated(dtype="bfloat16", known="half", note="confirmed"),
        contract(run_folder.Verdict.VIOLATED, "twice"),
        undecided(),
        digests={"a": "c"},
        label="candidate",
    ),
    "crashed": run(claim(), undecided(dtype="bfloat16"), contract(), failure=failure(), label="candidate"),
}


def is_safe(text, ends="\n"):
    """Test whether every character can be seen and stays where it is; `ends` are the writer's own."""
    return all(character in ends or unicodedata.category(character)[0] != "C" for character in text)


def places(value, path=()):
    """Every text in a decoded document and every key, by its path; the elements of a list have one path."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, "key of", key)
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from places(item, (*path, 0))


def poisoned(value, path):
    """The document with a nasty text at `path`, in all elements of its lists."""
    if not path:
        return NASTY
    step, *rest = path
    if value is None:  # what another line of the file holds there
        return None
    if step == "key of":
        return {(NASTY if key == rest[0] else key): item for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, rest) if list(places(item)) or rest else NASTY for item in value]
    return {key: poisoned(item, rest) if key == step else item for key, item in value.items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: write(tmp_path_factory.mktemp(name), made) for name, made in WHOLE.items()}


def documents(content):
    """Every JSON document of a file: it is one, or one stands in each line."""
    lines = content.splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        return [json.loads(content)]


def every_text(folders):
    """(folder, file, path) of each text of each run file, each once."""
    for name in ("stopped", "crashed"):
        for file in sorted(folders[name].glob("*.json*")):
            found = dict.fromkeys(path for document in documents(file.read_bytes()) for path in places(document))
            yield from ((name, file.name, path) for path in found)


@pytest.mark.large_draws
def test_no_text_of_any_run_file_reaches_a_reader_as_it_is(folders, tmp_path, capsys):
    asked = list(every_text(folders))
    shown = refused = 0
    for number, (name, file, path) in enumerate(asked):
        candidate = tmp_path / str(number)
        candidate.mkdir()
        for whole in folders[name].iterdir():
            (candidate / whole.name).write_bytes(whole.read_bytes())
        broken = [poisoned(document, path) for document in documents((candidate / file).read_bytes())]
        (candidate / file).write_text("\n".join(map(json.dumps, broken)) + "\n" * (len(broken) > 1), encoding="utf-8")

        run_folder.seal_run(candidate)

        code = command_line.run(["gate", str(folders["base"]), str(candidate)])
        command_line.run(["show", str(candidate)])

        said = capsys.readouterr()
        assert is_safe(said.out + said.err), path
        assert len(said.err.splitlines()) <= 2, path
        for written in (file_names.MARKDOWN, file_names.JUNIT, file_names.PAGE) if code < 2 else ():
            assert is_safe((candidate / written).read_text(encoding="utf-8")), (path, written)
        shown += code < 2
        refused += code == 2
    assert {path[-1] for _, _, path in asked} >= {"statement", "note", "initializer", "reason", "target", "python"}
    assert shown
    assert refused


def test_every_text_field_of_every_record_was_asked_about(folders):
    asked = {(file, path[-1]) for _, file, path in every_text(folders)}

    missing = {
        (file, field.encode_name)
        for file, kind in {file_names.PLAN: Plan, file_names.FAILURE: Failure}.items()
        for field in msgspec.inspect.type_info(kind).fields
        if isinstance(field.type, msgspec.inspect.StrType) and (file, field.encode_name) not in asked
    }

    assert missing == {(file_names.PLAN, "selection")} - asked


def test_a_page_of_hostile_texts_was_read_and_shows_none(tmp_path):
    material = hostile_material()

    for side in (material.baseline, material.candidate):
        kept = read_run(write(tmp_path / str(side is material.baseline), dataclasses.replace(side, sketches={})))
        texts = [text for found in kept.claims.values() for text in (found.statement, found.note, found.id) if text]
        assert all(map(is_safe, texts))


def test_two_keys_that_become_one_are_refused(tmp_path):
    folder = write(tmp_path / "run", WHOLE["base"])
    digests = folder / file_names.DIGESTS
    digests.write_text(
        json.dumps({"schema": run_folder.SCHEMA, "digests": {"a\x00": "1", "a\x01": "2"}}), encoding="utf-8"
    )

    run_folder.seal_run(folder)
    with pytest.raises(RecordError, match=r"^[^\n]*digests\.json: two keys differ in unprintable characters alone"):
        read_run(folder)


def test_a_plan_whose_claims_become_one_is_refused(tmp_path):
    folder = write(tmp_path / "run", WHOLE["base"])
    plan = json.loads((folder / file_names.PLAN).read_bytes())
    plan["claims"] += ["x\x00", "x\x01"]
    (folder / file_names.PLAN).write_text(json.dumps(plan), encoding="utf-8")

    run_folder.seal_run(folder)
    with pytest.raises(RecordError, match="is planned twice"):
        read_run(folder)


def test_an_array_without_a_printable_name_is_refused(tmp_path):
    folder = write(tmp_path / "run", WHOLE["base"])
    run_folder.write_sketches(folder, {"a\nb/counts": run_folder.np.zeros(3)})

    run_folder.seal_run(folder)
    with pytest.raises(RecordError, match=r"^[^\n]*an array's name is not printable \(a b/counts\)$"):
        read_run(folder)


@pytest.mark.parametrize("read", [read_policy, read_known])
def test_what_a_user_writes_is_cleaned_too(tmp_path, read):
    file = tmp_path / "own.toml"
    file.write_text('[speed.margins]\n"a\\n\\u202eb" = 0.2\n[[known]]\nid = "a\\nb"\n', encoding="utf-8")
    assert tomllib.loads(file.read_text(encoding="utf-8"))

    with pytest.raises((PolicyError, KnownError)) as error:
        read(file)

    assert is_safe(str(error.value), ends="")


@pytest.mark.parametrize("line", ['claims = ["a\\u0000"]', 'subject = { dtype = ["\\u202e"] }'])
def test_a_pattern_that_cannot_be_shown_is_refused(tmp_path, line):
    file = tmp_path / "known.toml"
    file.write_text(f'[[known]]\nid = "a"\n{line}\n', encoding="utf-8")

    with pytest.raises(KnownError, match=r"^[^\n]*: a: \w+: a pattern holds a character that cannot be shown$"):
        read_known(file)


def test_times_are_cleaned(tmp_path):
    write_pairing(tmp_path / "timings.json", pairing(timed("init/a\n\x1b[31mb")))

    assert [one.name for one in read_pairing(tmp_path / "timings.json").workloads] == ["init/a b"]


def test_what_a_target_raises_is_one_safe_line():
    def raises():
        raise RuntimeError("\x1b[31mred\u202e\x00")

    assert counterexample(raises) == "raised RuntimeError: red??"


def test_numbers_and_what_is_clean_stay_as_they_are():
    document = {"a": [1, 2.5, None, True, "plain, \u00e9 \u4e2d"], "b": {"c": "x" * LONGEST_KEPT}}

    assert cleaned(document) == document


def test_a_key_that_hides_another_is_ambiguous():
    with pytest.raises(Ambiguous):
        cleaned({"a\u200b": 1, "a\u200c": 2})


@pytest.mark.parametrize("character", [*NASTY[:-LONGEST_KEPT], "\ud800", "\u2066", "\u00a0", "\ue000"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_document_that_is_called_clean_is_one(character, escaped):
    """However a character is written: as itself, where JSON allows it, or as an escape."""
    document = json.dumps({"a": [f"x{character}y"]}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")

    assert is_clean(document) == (character.isprintable() and b"\\" not in document)
    if is_clean(document):
        assert cleaned(json.loads(document)) == json.loads(document)


def test_a_document_longer_than_what_is_kept_of_a_text_is_not_called_clean():
    assert is_clean(json.dumps("e" * (LONGEST_KEPT - 2)).encode())
    assert not is_clean(json.dumps("e" * (LONGEST_KEPT - 1)).encode())
