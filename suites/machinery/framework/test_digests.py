"""Fixed-seed digests travel from the test that takes them to the run folder, by way of another process if need be."""

from __future__ import annotations

import json

import pytest

from fixtures.record import file_names, run_folder
from suites.conftest import Controller, settings_key
from suites.framework.recorder import Recorder

DIGESTS = {"kaiming_normal_-3x5-float32-cpu": "9d1f907a", "kaiming_uniform_-3x5-float32-cpu": "0c1e77b2"}


@pytest.fixture
def recorder(pytestconfig, tmp_path) -> Recorder:
    settings = pytestconfig.stash[settings_key]
    return Recorder(type(settings)(**(vars(settings) | {"run_dir": tmp_path})))


def report_of_a_test() -> pytest.TestReport:
    return pytest.TestReport("test_digests.py::test", ("test_digests.py", 1, "test"), {}, "passed", None, "call")


def sent_by_a_worker(config: pytest.Config, report: pytest.TestReport) -> pytest.TestReport:
    """Report as pytest-xdist's controller gets it."""
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    return config.hook.pytest_report_from_serializable(config=config, data=json.loads(json.dumps(data)))


def test_digests_arrive_with_a_workers_report(pytestconfig, recorder):
    report = report_of_a_test()
    report.digests = DIGESTS

    Controller(pytestconfig, recorder).pytest_runtest_logreport(sent_by_a_worker(pytestconfig, report))

    assert recorder.digests == DIGESTS


def test_digests_are_written_when_the_run_ends(recorder, tmp_path):
    recorder.start()
    recorder.digests.update(DIGESTS)

    recorder.finish()

    assert run_folder.read_digests(tmp_path / file_names.DIGESTS) == DIGESTS


def test_a_run_without_digests_writes_none(recorder, tmp_path):
    recorder.start()

    recorder.finish()

    assert not (tmp_path / file_names.DIGESTS).exists()


def test_what_a_test_keeps_is_on_its_report(request, keep_digest):
    keep_digest("kaiming_normal_-3x5-float32-cpu", "9d1f907a")

    report = request.config.hook.pytest_runtest_makereport(
        item=request.node, call=pytest.CallInfo.from_call(int, "call")
    )

    assert report.digests == {"kaiming_normal_-3x5-float32-cpu": "9d1f907a"}
