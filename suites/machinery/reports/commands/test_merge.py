"""Merged runs: the parts of a run are the whole again, and what are no parts of one run is refused by name."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.record.claim import Verdict
from fixtures.record.interface import Interface
from fixtures.record.plan import Case
from fixtures.record.run_folder import read_run
from fixtures.record.schema import SCHEMA
from reports.commands import command_line
from reports.commands.merge import Unmergeable, merge, write_run
from reports.verdict.gate import gate
from suites.machinery.making.runs import claim, contract, environment, failure, plan, run, subject, violated, write

FAMILIES = [f"weights.{name}.scale" for name in ("marginal", "gain", "fan")]
CLAIMS = [
    (violated if family == FAMILIES[0] and dtype == "float16" else claim)(family, dtype)
    for family in FAMILIES
    for dtype in ("float32", "bfloat16", "float16")
]


def case_of(answer):
    """The case that a claim is about."""
    return Case(family=answer.family.rpartition(".")[0], subject=answer.subject, draws=100, resolution=0.1)


def part(*claims, label="part", every_case=False, torch="2.13.0+cpu", **fields):
    """A run that was asked these claims, each with a digest and a sketch of its own."""
    about = CLAIMS if every_case else claims
    asked = plan((answer.id for answer in claims), cases=tuple(map(case_of, about)))
    usual = {
        "plan": msgspec.structs.replace(asked, **fields.pop("planned", {})),
        "digests": {answer.id: answer.id for answer in claims},
        "sketches": {answer.id: np.arange(len(answer.id)) for answer in claims},
    }
    return run(*claims, label=label, torch=torch, **usual | fields)


WHOLE = part(*CLAIMS)


def refusal(*runs):
    with pytest.raises(Unmergeable) as error:
        merge(runs, Path("merged"))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.run_folders
@given(places=st.lists(st.integers(0, 3), min_size=len(CLAIMS), max_size=len(CLAIMS)), every_case=st.booleans())
def test_the_parts_of_a_run_are_the_whole_again(places, every_case):
    parts = [
        part(*(answer for answer, place in zip(CLAIMS, places, strict=True) if place == number), every_case=every_case)
        for number in range(4)
    ]
    merged = merge(parts, Path("part"))

    assert merged.claims == WHOLE.claims
    assert set(merged.plan.claims) == set(WHOLE.plan.claims)
    assert sorted(merged.plan.cases, key=str) == sorted(WHOLE.plan.cases, key=str)
    assert merged.digests == WHOLE.digests
    assert {name: array.tolist() for name, array in merged.sketches.items()} == {
        name: array.tolist() for name, array in WHOLE.sketches.items()
    }
    for other in (WHOLE, part(*map(claim_like, CLAIMS), label="part")):
        assert told(gate(merged, other)) == told(gate(WHOLE, other))
        assert told(gate(other, merged)) == told(gate(other, WHOLE))


def claim_like(answer):
    """The claim that holds whatever became of this one."""
    return claim(answer.family, answer.subject.dtype)


def told(verdict):
    """All that a verdict says, without the order in which equals are told."""
    content = msgspec.to_builtins(verdict)
    for name in ("counts", "changes", "reasons"):
        content[name] = Counter(json.dumps(item, sort_keys=True) for item in content[name])
    return content


def test_parts_one_after_the_other_keep_their_order():
    merged = merge([part(*CLAIMS[:4]), part(*CLAIMS[4:])], Path("merged"))

    assert (merged.plan.claims, merged.plan.cases) == (WHOLE.plan.claims, WHOLE.plan.cases)
    assert list(merged.claims) == list(WHOLE.claims)


def test_a_merged_run_is_written_and_read_again(tmp_path):
    told = Interface(schema=SCHEMA, functions={"kaiming_normal_": None}, answers={})
    merged = merge([part(*CLAIMS[:4], interface=told), part(*CLAIMS[4:])], tmp_path / "merged")
    write_run(merged)

    read = read_run(tmp_path / "merged")
    assert (read, list(read.sketches)) == (merged, list(merged.sketches))
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_times_skips_and_machines_are_joined():
    sides = [
        environment("2.13.0+cpu", started=started, seconds=seconds, skipped=skipped, machine={"cpu": cpu, "cores": 2})
        for started, seconds, skipped, cpu in (
            ("2026-01-02T00:00:00+00:00", 10.25, {"a": 1}, "x"),
            ("2026-01-01T00:00:00+00:00", 20.5, {"a": 2, "b": 1}, "y"),
            ("2026-01-03T00:00:00+00:00", 1.0, {}, "x"),
        )
    ]
    merged = merge(
        [part(CLAIMS[place], environment=side) for place, side in enumerate(sides)], Path("merged")
    ).environment

    assert (merged.started, merged.seconds) == ("2026-01-01T00:00:00+00:00", 31.75)
    assert merged.skipped == {"a": 3, "b": 1}
    assert merged.machine == {"cpu": ["x", "y"], "cores": 2}


def test_selections_are_joined():
    def merged(*selections):
        parts = [part(CLAIMS[place], planned={"selection": text}) for place, text in enumerate(selections)]
        made = merge(parts, Path("merged"))
        assert made.environment.options["selection"] == made.plan.selection
        return made.plan.selection

    assert merged("", "") == ""
    assert merged("scale", "scale") == "scale"
    assert merged("scale", "gain and not half", "scale") == "(scale) or (gain and not half)"


def test_a_planned_claim_without_an_answer_stays_one():
    merged = merge([part(CLAIMS[0], planned={"claims": (CLAIMS[0].id, "b")}), part(CLAIMS[1])], Path("merged"))

    assert merged.unanswered() == ["b"]


def test_the_salts_of_parts_that_are_another_in_each_are_all_told():
    def merged(*salts):
        sides = (environment("2.13.0+cpu", options={"salt": salt}) for salt in salts)
        parts = [part(CLAIMS[place], environment=side) for place, side in enumerate(sides)]
        return merge(parts, Path("merged")).environment.options["salt"]

    assert merged(7, 8, 7) == [7, 8]
    assert merged(7, 7) == 7


def test_of_salted_draws_the_first_are_kept_and_others_must_agree():
    def sketches(salt, counts):
        return {"a/counts": np.asarray(counts), "a/salted": np.asarray([salt]), "a/salt": np.asarray(salt)}

    one, other = (part(CLAIMS[place], sketches=sketches(place, 5)) for place in (0, 1))
    merged = merge([one, other], Path("merged")).sketches

    assert {name: array.tolist() for name, array in merged.items()} == {"a/counts": 5, "a/salted": [0], "a/salt": 0}
    assert "the sketch of a/counts in part is another than before" in refusal(
        one, part(CLAIMS[1], sketches=sketches(1, 6))
    )


def test_the_interface_is_that_of_all_parts():
    told, other = (
        Interface(schema=SCHEMA, functions={name: None}, answers={}) for name in ("kaiming_normal_", "normal_")
    )
    parts = [
        part(CLAIMS[place], label=label, interface=interface)
        for place, (label, interface) in enumerate((("a", told), ("b", None), ("c", told)))
    ]

    assert merge(parts, Path("merged")).interface == told
    assert refusal(*parts, part(CLAIMS[3], label="d", interface=other)) == (
        "not parts of one run: torch.nn.init is called, or answers, otherwise in c than in d"
    )


# Devices


def on(device, verdict=Verdict.HOLDS, asked=None, label=None, **fields):
    """A run on a device, which asks a contract claim about the CPU besides."""
    about = claim("weights.marginal.scale", subject=subject(device=device))
    everywhere = contract(verdict, **fields)
    return part(everywhere, about, label=label or device, planned={"devices": (asked or device,)})


def test_runs_on_different_devices_are_merged_and_the_cpu_answers_for_itself():
    cpu = part(contract(n=7), label="cpu")
    merged = merge([on("cuda"), cpu], Path("merged"))

    assert merged.plan.devices == ("cpu", "cuda")
    assert merged.environment.options["devices"] == ["cpu", "cuda"]
    assert len(merged.plan.claims) == 2
    assert merged.claims[contract().id].n == 7


def test_without_a_run_on_the_cpu_the_first_answers_for_it():
    assert merge([on("cuda", n=7), on("xpu", n=8)], Path("merged")).claims[contract().id].n == 7


def test_answers_about_the_cpu_that_contradict_each_other_are_an_error():
    assert refusal(on("cuda"), on("xpu", Verdict.VIOLATED)) == f"{contract().id}: holds in cuda and violated in xpu"


def test_one_that_could_not_tell_contradicts_nobody():
    merged = merge([on("cuda"), on("xpu", Verdict.NO_EVIDENCE, "not there")], Path("merged"))

    assert merged.claims[contract().id].verdict is Verdict.HOLDS


# What is refused


def test_runs_that_ask_the_same_overlap():
    assert refusal(part(*CLAIMS[:2], label="a"), part(*CLAIMS[1:3], label="b")) == (
        f"a and b overlap: both ask {CLAIMS[1].id}"
    )
    assert refusal(on("cuda", label="a"), on("cuda", label="b")).startswith("a and b overlap: both ask ")
    unanswered = part(CLAIMS[2], planned={"claims": (CLAIMS[0].id, CLAIMS[2].id)}, label="b")
    assert refusal(part(CLAIMS[0], label="a"), unanswered) == f"a and b overlap: both ask {CLAIMS[0].id}"


@pytest.mark.parametrize(
    ("planned", "says"),
    [
        ({"seed": 18}, "seed is 17 in a and 18 in b"),
        ({"tier": "full"}, "tier is 'quick' in a and 'full' in b"),
        ({"target": "my_init"}, "target is 'torch.nn.init' in a and 'my_init' in b"),
        ({"false_alarm_rate": 1e-3}, "false-alarm rate is 1e-06 in a and 0.001 in b"),
        ({"selection": "x"}, "some select with -k and some do not: what they select together has no name"),
        (
            {"seed": 18, "tier": "full"},
            "seed is 17 in a and 18 in b; tier is 'quick' in a and 'full' in b",
        ),
    ],
)
def test_runs_with_other_options_are_no_parts_of_one_run(planned, says):
    assert refusal(part(CLAIMS[0], label="a"), part(CLAIMS[1], label="b", planned=planned)) == (
        f"not parts of one run: {says}"
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"torch": {"version": "2.14.1+cpu"}}, "torch is '2.13.0+cpu' in a and '2.14.1+cpu' in b"),
        ({"torch": {"version": "2.13.0+cpu", "git": "f"}}, "torch's commit is None in a and 'f' in b"),
        ({"torch": {"version": "2.13.0+cpu", "cuda": "13.0"}}, "torch's CUDA is None in a and '13.0' in b"),
        ({"python": "3.12.1 (main)"}, "Python is '3.11.7' in a and '3.12.1' in b"),
        ({"added": {"timm==1.0": ("timm",)}}, "added packages is [] in a and ['timm==1.0'] in b"),
        ({"options": {"fault": "relu-mask-leaks"}}, "planted fault is None in a and 'relu-mask-leaks' in b"),
        ({"packages": {"torch": "2.13.0+cpu"}}, "packages differ between a and b: numpy"),
    ],
)
def test_runs_of_other_environments_are_no_parts_of_one_run(fields, says):
    other = msgspec.structs.replace(environment("2.13.0+cpu"), **fields)

    said = refusal(part(CLAIMS[0], label="a"), part(CLAIMS[2]), part(CLAIMS[1], label="b", environment=other))

    assert said == f"not parts of one run: {says}"


def test_a_case_that_is_drawn_otherwise_contradicts():
    other = msgspec.structs.replace(case_of(CLAIMS[0]), draws=7)
    parts = part(*CLAIMS[:1], label="a"), part(CLAIMS[1], label="b", planned={"cases": (other,)})

    assert refusal(*parts).endswith("-float32-cpu is another case in b than before: 7 draws, core False")


@pytest.mark.parametrize("name", ["digests", "sketches"])
def test_two_values_of_one_name_contradict(name):
    values = {"digests": ("a", "b"), "sketches": (np.arange(3), np.arange(3.0))}[name]
    first, second = (
        part(CLAIMS[place], label=label, **{name: {"x": value}})
        for place, (label, value) in enumerate(zip("ab", values, strict=True))
    )

    assert refusal(first, second) == f"the {name.removesuffix('s').removesuffix('e')} of x in b is another than before"
    assert merge([first, replace(second, **{name: {"x": values[0]}})], Path("merged"))


@pytest.mark.parametrize("fields", [{"failure": failure()}, {"ended": False}, {"environment": None}, {"plan": None}])
def test_a_run_that_was_cut_short_is_refused(fields):
    cut = replace(part(CLAIMS[1], label="b"), **fields)

    assert refusal(part(CLAIMS[0]), cut) == "b did not end as planned; gate it by itself"


def test_one_run_is_no_parts():
    assert refusal(WHOLE) == "two runs or more are needed"


def test_together_they_promise_no_more_false_alarms_than_each_did():
    strict = {"false_alarm_rate": 1e-11}

    said = refusal(part(*CLAIMS[:4], planned=strict), part(*CLAIMS[4:], planned=strict))

    assert said == (
        "9 claims and 0 comparisons raise a false alarm with chance 1.8e-11, more than the 1e-11 that each run promised"
    )


# The command


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Two parts of a run on disk, beside the caller."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", run(*CLAIMS[:4]))
    write(tmp_path / "b", run(*CLAIMS[4:]))
    return tmp_path


@pytest.mark.run_folders
def test_the_command_makes_a_run_that_can_be_gated(parts, capsys):
    assert command_line.run(["merge", "a", "b", "--into", "new/merged"]) == 0
    assert capsys.readouterr().out == "2 runs merged into new/merged: 9 claims\n"

    write(parts / "whole", run(*CLAIMS))
    assert command_line.run(["gate", "whole", "new/merged"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a", "--into", "m"], "error: two runs or more are needed"),
        (["a", "a/", "--into", "m"], "error: a is named twice"),
        (["a", "b", "--into", "a"], "error: --into a: exists already"),
        (["a", "c", "--into", "m"], "error: c: no such run folder"),
        (["a", "b", "--into", "a/plan.json/m"], "error: --into a/plan.json/m: cannot be written (Not a directory)"),
        (["a", "b"], "error: Missing option '--into'"),
    ],
)
def test_a_mistake_is_one_line(parts, capsys, arguments, says):
    assert command_line.run(["merge", *arguments]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(says)
    assert sorted(path.name for path in parts.iterdir()) == ["a", "b"]


def test_a_disk_that_is_full_leaves_nothing(parts, capsys, monkeypatch):
    def disk_full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    assert command_line.run(["merge", "a", "b", "--into", "m"]) == 2

    assert capsys.readouterr().err == "error: --into m: cannot be written (No space left on device)\n"
    assert sorted(path.name for path in parts.iterdir()) == ["a", "b"]
