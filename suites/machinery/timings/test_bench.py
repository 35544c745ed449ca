"""`pytest suites/timings` and `nox -s bench` as a user runs them: tables, files, comparisons, options, exit status."""

from __future__ import annotations

import json
import re
import statistics

import pytest
import torch

from fixtures.clock.workloads import CONSTRUCTED, Work, workloads
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.file_names import ROOT
from fixtures.target.device import CACHE_BYTES, Cpu
from suites.machinery.making import preloaded
from suites.timings.cases import group_of, identifier_of
from suites.timings.environment import complete, differences
from suites.timings.limits import (
    COPIED_BYTES,
    LEAST_SIZE,
    SECONDS,
    Limits,
    copied_bytes,
    kind_of_limit,
    matmul_flops,
)
from suites.timings.measurement import compare_with_initialization, rates

pytestmark = pytest.mark.subprocess

pytest.importorskip("pytest_benchmark", reason="in the dependency group bench, which machinery includes")


WORKLOADS = workloads()


def python(*arguments, **variables):
    return preloaded.run(*arguments, **{"COLUMNS": "80"} | variables)


def bench(*arguments, select="guard", **variables):
    """Time what is selected, as short as it goes."""
    short = ("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "3")
    usual = ("-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-k", select, *short)
    return python("-m", "pytest", "suites/timings", *usual, *arguments, **variables)


# What is said beside the times


class KnownLimits(Limits):
    """1e9 of everything a second."""

    def of(self, kind, dtype, device):
        self.found[device.name, kind, dtype] = 1e9
        return 1e9


def test_an_initializer_is_told_as_a_fraction_of_copying():
    limits = KnownLimits()

    said = rates(WORKLOADS["init/kaiming_normal_/1024x1024/bfloat16"], 0.01, Cpu(), limits)

    assert said == {
        "elements_per_second": 1.049e8,
        "bytes_per_second": 2.097e8,
        "limit": "copy bfloat16",
        "limit_per_second": 1e9,
        "fraction_of_limit": 0.2097,
    }
    assert list(limits.found) == [("cpu", "copy", "bfloat16")]


def test_training_is_told_as_a_fraction_of_a_matrix_product():
    said = rates(WORKLOADS["train/tutorial/forward/float32"], 0.1, Cpu(), KnownLimits())

    assert said["elements_per_second"] == 640
    assert said["flops_per_second"] == 3.005e8
    assert (said["limit"], said["fraction_of_limit"]) == ("matmul float32", 0.3005)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("init/orthogonal_/256x256/float32", "copy"),
        ("construct/deep", "copy"),
        ("train/deep/update/adam", "copy"),
        ("train/deep/step/adam/bfloat16", "matmul"),
        ("forward/linear-1024/spectral_norm", "matmul"),
        ("guard/python", None),
    ],
)
def test_what_limits_a_workload(name, kind):
    assert kind_of_limit(WORKLOADS[name].count()) == kind


def test_nothing_is_told_of_what_is_not_torchs():
    limits = KnownLimits()

    assert rates(WORKLOADS["guard/python"], 0.001, Cpu(), limits) == {"elements_per_second": 2e7}
    assert not limits.found


def test_a_limit_is_measured_once_and_is_the_best_of_many(monkeypatch):
    seconds = iter([SECONDS / 4, SECONDS / 1000, SECONDS / 2, SECONDS / 2])
    monkeypatch.setattr("suites.timings.limits.timed", lambda _call, _calls, _device: next(seconds))
    limits = Limits()

    found = [limits.of("copy", "float32", Cpu()) for _ in range(2)]

    assert found == [2 * COPIED_BYTES["cpu"] / (SECONDS / 1000)] * 2


def test_a_copy_comes_to_no_piece_again_that_a_cache_may_hold(monkeypatch):
    pieces = []

    def seen(call, _calls, _device):
        pieces.append((call.func.__self__, call.args[0]))
        return SECONDS / 40

    monkeypatch.setattr("suites.timings.limits.timed", seen)

    copied_bytes("bfloat16", Cpu())

    addresses = [(into.data_ptr(), piece.data_ptr()) for into, piece in pieces]
    assert len(set(addresses)) == CACHE_BYTES // COPIED_BYTES["cpu"] == 16
    assert {piece.numel() * piece.element_size() for pair in pieces for piece in pair} == {COPIED_BYTES["cpu"]}


@pytest.mark.parametrize(("flops", "size"), [(1e9, 512), (1e12, 1024), (2e12, 1024), (3e12, 2048)])
def test_a_product_is_as_large_as_a_device_needs_to_work_for_a_millisecond(monkeypatch, flops, size):
    asked = []

    def computed(call, _calls, _device):
        asked.append(len(call.args[0]))
        return 2 * asked[-1] ** 3 / flops

    monkeypatch.setattr("suites.timings.limits.timed", computed)

    assert matmul_flops("float32", Cpu()) == pytest.approx(flops)
    assert asked[-1] == size
    assert asked[0] == LEAST_SIZE


def test_normalizing_is_told_beside_initializing_once():
    said = {weight: {} for weight in ("plain", "spectral_norm", "kaiming_normal_")}
    seconds = {"plain": 0.002, "spectral_norm": 0.003, "kaiming_normal_": 0.005}

    compare_with_initialization(said, {"plain": 0.002})
    nothing_yet = dict(said["plain"])
    compare_with_initialization(said, seconds)

    assert not nothing_yet
    assert {weight: told["times_a_plain_forward_pass"] for weight, told in said.items()} == {
        "plain": 1.0,
        "spectral_norm": 1.5,
        "kaiming_normal_": 2.5,
    }
    assert said["spectral_norm"]["overhead_seconds_per_forward_pass"] == 0.001
    assert said["spectral_norm"]["forward_passes_until_overhead_exceeds_initialization"] == 5


def test_noise_that_hides_the_overhead_is_not_divided_by():
    said = {weight: {} for weight in ("plain", "spectral_norm", "kaiming_normal_")}

    compare_with_initialization(said, {"plain": 0.002, "spectral_norm": 0.002, "kaiming_normal_": 0.005})

    assert "forward_passes_until_overhead_exceeds_initialization" not in said["spectral_norm"]


def test_groups_hold_what_is_held_side_by_side():
    groups = {}
    for workload in WORKLOADS.values():
        groups.setdefault(group_of(workload, "cpu"), []).append(workload.name)

    assert len(groups["init 1024x1024 float32"]) == 10
    assert len(groups["train deep bfloat16"]) == 4 + 3
    assert groups["construct"] == [f"construct/{model}" for model in CONSTRUCTED]
    assert [len(groups[name]) for name in ("forward pass, and initializing once", "guard")] == [3, 1]


def test_another_device_has_its_own_groups_and_names():
    workload = WORKLOADS["construct/deep"]

    assert (group_of(workload, "cuda"), identifier_of(workload, "cuda")) == ("construct cuda", "deep/cuda")
    assert (group_of(workload, "cpu"), identifier_of(workload, "cpu")) == ("construct", "deep")


def test_what_varies_on_one_machine_is_no_part_of_it():
    info = {"cpu": {"brand_raw": "x", "hz_actual": [1, 0], "hz_actual_friendly": "1 Hz"}}

    complete(info)

    assert info["cpu"] == {"brand_raw": "x"}
    assert info["torch"]["version"] == str(torch.__version__)
    assert {"config", "parallel", "threads", "mkldnn", "tf32_matmul", "tf32_cudnn"} <= info["torch"].keys()
    assert "cpu_flags" in info["environment"]


def test_differences_are_told_by_name_and_long_ones_not_in_full():
    now = {"torch": {"version": "2", "config": "a" * 99, "same": (1, 2)}, "node": "here"}
    saved = {"torch": {"version": "1", "config": "b" * 99, "same": [1, 2]}, "node": "here", "gone": True}

    assert differences(now, saved) == [
        "gone: saved True, now None",
        "torch.config differs",
        "torch.version: saved 1, now 2",
    ]


# A run and its file


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A run with every kind of workload, and its JSON."""
    file = tmp_path_factory.mktemp("bench") / "run.json"
    select = "guard or linear or construct or (64x64 and kaiming_normal_) or (tutorial and sgd)"
    ended = bench("--benchmark-json", file, "--benchmark-columns", "median", select=select)
    assert ended.returncode == PASS, ended.stdout + ended.stderr
    return ended.stdout, json.loads(file.read_text())


def test_every_result_says_what_its_times_mean(timed):
    for result in timed[1]["benchmarks"]:
        said, workload = result["extra_info"], WORKLOADS[result["extra_info"]["workload"]]
        work, median = workload.count(), result["stats"]["median"]
        assert said["elements_per_second"] == pytest.approx(work.elements / median, rel=1e-3)
        assert (said["device"], said["threads"]) == ("cpu", 1)
        assert said["peak_bytes"] > 1 << 20
        if kind := kind_of_limit(work):
            done = said["flops_per_second" if kind == "matmul" else "bytes_per_second"]
            assert said["fraction_of_limit"] == pytest.approx(done / said["limit_per_second"], rel=2e-3)


def test_results_carry_their_group_and_parameters(timed):
    [result] = [found for found in timed[1]["benchmarks"] if found["name"].endswith("64x64/bfloat16/transposed]")]

    assert result["group"] == "init 64x64 bfloat16"
    assert result["params"] == {
        "initializer": "kaiming_normal_",
        "shape": "64x64",
        "dtype": "bfloat16",
        "layout": "transposed",
        "device": "cpu",
    }


def test_times_are_those_of_one_call(timed):
    """A round has many calls of 64 x 64 weights: none takes as long as a round."""
    results = {found["extra_info"]["workload"]: found["stats"] for found in timed[1]["benchmarks"]}
    small = [stats for name, stats in results.items() if "/64x64/" in name]

    # A machine may stop for longer than a round while one of them is calibrated, and not while all are.
    assert len(small) >= 4
    assert any(stats["iterations"] > 1 for stats in small)
    for stats in small:
        assert stats["rounds"] >= 3
        assert stats["median"] == statistics.median(stats["data"])
    assert min(stats["median"] for stats in small) < 0.005


def test_the_machine_is_told_with_the_run(timed):
    machine = timed[1]["machine_info"]

    assert machine["torch"]["version"] == str(torch.__version__)
    assert machine["torch"]["threads"] == 1
    assert "hz_actual" not in machine["cpu"]


def test_limits_and_the_cost_of_normalizing_are_told_below_the_tables(timed):
    _, _, added = timed[0].partition("in addition to the tables")

    assert "limit of cpu: copy float32" in added
    assert "limit of cpu: matmul float32" in added
    assert re.search(r"^spectral_norm on cpu: as long as [\d.]+ plain forward passes, every time$", added, re.MULTILINE)
    assert re.search(r"^kaiming_normal_ on cpu: as long as [\d.]+ plain forward passes, once$", added, re.MULTILINE)


# Saved, compared


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with one saved run."""
    storage = tmp_path_factory.mktemp("storage")
    ended = bench("--benchmark-storage", storage, "--benchmark-save", "first")
    assert ended.returncode == PASS, ended.stdout + ended.stderr
    return storage


def doctored(saved, folder, change):
    """A copy of the saved run with something changed."""
    [file] = saved.rglob("0001_first.json")
    run = json.loads(file.read_text())
    change(run)
    copy = folder / file.relative_to(saved)
    copy.parent.mkdir(parents=True)
    copy.write_text(json.dumps(run))
    return folder


def times(factor):
    def change(run):
        for result in run["benchmarks"]:
            for name in ("min", "max", "mean", "median"):
                result["stats"][name] *= factor

    return change


def test_a_run_is_compared_with_a_saved_one_of_the_same_torch(saved):
    ended = bench("--benchmark-storage", saved, "--benchmark-compare")

    assert ended.returncode == PASS
    assert "test_guard[python] (0001_first)" in ended.stdout
    assert "test_guard[python] (NOW)" in ended.stdout
    assert "not as in the saved run" not in ended.stdout + ended.stderr


def test_another_torch_is_told_in_a_line(saved, tmp_path):
    storage = doctored(saved, tmp_path, lambda run: run["machine_info"]["torch"].update(version="1.0"))

    ended = bench("--benchmark-storage", storage, "--benchmark-compare")

    said = [line for line in (ended.stdout + ended.stderr).splitlines() if "not as in the saved run" in line]
    assert ended.returncode == PASS
    assert said == [f"not as in the saved run: torch.version: saved 1.0, now {torch.__version__}"]


@pytest.mark.parametrize(("factor", "code"), [(1e-3, STOP), (1e3, PASS)])
def test_a_slower_run_stops_where_that_was_asked_for(saved, tmp_path, factor, code):
    storage = doctored(saved, tmp_path, times(factor))

    ended = bench("--benchmark-storage", storage, "--benchmark-compare", "--benchmark-compare-fail", "mean:50%")

    output = ended.stdout + ended.stderr
    assert ended.returncode == code, output
    assert ("Performance has regressed" in output) == (code == STOP)
    assert "Traceback" not in output
    assert "1 passed" in output


def test_a_run_without_a_saved_one_warns_and_does_not_fail(tmp_path):
    ended = bench("--benchmark-storage", tmp_path, "--benchmark-compare")

    assert ended.returncode == PASS, ended.stderr
    assert "Can't compare. No benchmark files" in ended.stderr


def test_a_check_that_has_nothing_to_compare_with_is_no_pass(tmp_path):
    options = ("--benchmark-compare", "--benchmark-compare-fail", "mean:10%")

    ended = bench("--benchmark-storage", tmp_path, *options)

    assert ended.returncode == NO_EVIDENCE
    assert ended.stderr.splitlines()[-1] == "error: --benchmark-compare-fail requires valid --benchmark-compare."


# Options


def test_threads_are_chosen_and_recorded(tmp_path):
    file = tmp_path / "run.json"

    ended = bench("--threads", 2, "--benchmark-json", file)

    assert ended.returncode == PASS
    run = json.loads(file.read_text())
    assert run["benchmarks"][0]["extra_info"]["threads"] == run["machine_info"]["torch"]["threads"] == 2


@pytest.mark.parametrize("threads", ["0", "two"])
def test_a_number_of_threads_that_is_none_is_refused_in_a_line(threads):
    ended = bench("--threads", threads)

    assert ended.returncode == NO_EVIDENCE
    assert ended.stderr.strip() == f"error: --threads {threads}: a positive integer is accepted"


def test_a_run_without_timing_runs_each_workload_once():
    ended = bench("--benchmark-disable")

    assert ended.returncode == PASS
    assert "1 passed" in ended.stdout
    assert "in addition to the tables" not in ended.stdout


def test_a_run_that_saves_nothing_warns_and_does_not_fail(tmp_path):
    ended = bench("--benchmark-skip", "--benchmark-json", tmp_path / "run.json")

    assert ended.returncode == PASS, ended.stderr
    assert "no benchmarks have been run" in ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr


def collected(tier):
    ended = python("-m", "pytest", "suites/timings", "--collect-only", "-q", "--tier", tier, "-p", "no:cacheprovider")
    return [line.partition("::")[2] for line in ended.stdout.splitlines() if "::" in line]


def test_a_tier_times_its_own_workloads_and_those_of_the_tiers_below():
    def names(tier):
        fitting = ("quick",) if tier == "quick" else ("quick", "full")
        return {f"test_{w.group}[{identifier_of(w, 'cpu')}]" for w in WORKLOADS.values() if w.tier in fitting}

    assert set(collected("quick")) == names("quick")
    assert set(collected("full")) == names("full")


def test_what_cannot_be_compiled_is_skipped_counted_and_explained(tmp_path):
    """No compiler can be found, and nothing that one has built before."""
    hidden = {"CXX": "/nonexistent/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PATH": str(tmp_path)}

    ended = bench("--tier", "full", select="tutorial and forward and compiled", **hidden)

    assert ended.returncode == PASS, ended.stdout
    assert "2 skipped" in ended.stdout
    assert f"torch {torch.__version__} cannot compile for cpu: " in ended.stdout


# Without the plugin, and beside the other suites


def test_without_the_plugin_one_line_says_what_is_missing():
    ended = python("-m", "pytest", "suites/timings", "-p", "no:benchmark", "-p", "no:cacheprovider")

    assert ended.returncode == NO_EVIDENCE
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "error: suites/timings needs pytest-benchmark (dependency group 'bench'): nox -s bench, "
        "or pip install pytest-benchmark"
    ]


def test_a_run_of_all_suites_leaves_the_timings_out_without_the_plugin():
    others = [f"--ignore=suites/{folder.name}" for folder in (ROOT / "suites").iterdir() if folder.name != "timings"]

    ended = python("-m", "pytest", "suites", *others, "-p", "no:benchmark", "-p", "no:cacheprovider", "-q")

    assert "left out: suites/timings needs pytest-benchmark" in ended.stdout
    assert "error" not in (ended.stdout + ended.stderr).lower()


def test_timings_leave_no_run_folder(tmp_path):
    assert bench("--run-dir", tmp_path / "run").returncode == PASS
    assert not (tmp_path / "run").exists()


def test_nox_refuses_what_is_no_torch_in_a_line():
    pytest.importorskip("nox", reason="in the dependency group machinery")

    ended = python("-m", "nox", "-s", "bench", "--", "--torch", "numpy==2")

    assert ended.returncode == STOP, "nox's own exit status for a session that was aborted"
    assert "--torch: 'numpy==2' names numpy, not torch" in ended.stdout + ended.stderr


def test_work_that_nobody_counts_has_no_limit():
    assert kind_of_limit(Work(5)) is None
