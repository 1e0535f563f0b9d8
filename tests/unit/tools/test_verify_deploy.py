"""The steps of ``make verify-deploy`` notice what is wrong; tests/integration/deploy runs them all."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from steadyline.servers.process import Launch, ServerProcess
from steadyline.servers.procfs import start_time
from tools.deploy_schemas import fetch
from tools.verify_deploy.accounts.trainings import ExpectedEnd
from tools.verify_deploy.admission.refusals import CASES
from tools.verify_deploy.admission.refused_values import FOLDER, expected_words
from tools.verify_deploy.cluster import kubelab
from tools.verify_deploy.release.changes import CHANGES, MORE_PARTITIONS, changed_lines, more_partitions
from tools.verify_deploy.release.leftovers import left_behind
from tools.verify_deploy.release.workloads import (
    images,
    is_rolled_out,
    rolled,
    running_on,
    spread,
    workload_of,
)
from tools.verify_deploy.report import CheckFailed, StepReport
from tools.verify_deploy.run import clear
from trainer.control.launch import TrainingEnd

LINE = """line: cells-1
topics: {prefix: cells-1, partitions: 12}
cameras:
  - {id: east-1, source: "rtsp://10.20.0.11/stream?fps=5"}
"""


def a_pod(workload: str, uid: str, node: str = "node-1", image: str = "a") -> dict[str, Any]:
    """Return a pod of a Deployment as the server tells of it."""
    return {
        "metadata": {
            "name": f"{workload}-5d4f-{uid}",
            "uid": uid,
            "labels": {"pod-template-hash": "5d4f"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{workload}-5d4f"}],
        },
        "spec": {"nodeName": node, "containers": [{"name": "one", "image": image}]},
    }


def test_a_pod_belongs_to_its_deployment_and_not_to_its_replica_set() -> None:
    assert workload_of(a_pod("line-1-scorer", "x")) == "line-1-scorer"
    stateful = {"metadata": {"name": "db-0", "ownerReferences": [{"kind": "StatefulSet", "name": "db"}]}}
    assert workload_of(stateful) == "db"
    assert workload_of({"metadata": {"name": "alone"}}) == "alone"


def test_what_was_replaced_is_told_by_its_pods() -> None:
    before = [a_pod("scorer", "1"), a_pod("scorer", "2"), a_pod("alerts", "3")]
    assert rolled(before, before) == frozenset()
    after = [a_pod("scorer", "4"), a_pod("scorer", "5"), a_pod("alerts", "3")]
    assert rolled(before, after) == {"scorer"}


def test_a_workload_replaced_by_half_or_gone_is_an_error() -> None:
    before = [a_pod("scorer", "1"), a_pod("scorer", "2")]
    with pytest.raises(CheckFailed, match="only 1 of 2"):
        rolled(before, [a_pod("scorer", "1"), a_pod("scorer", "3")])
    with pytest.raises(CheckFailed, match="other workloads"):
        rolled(before, [*before, a_pod("alerts", "3")])


def a_workload(**status: int) -> dict[str, Any]:
    """Return a Deployment of two pods in its third generation, all of it rolled out but for ``status``."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    return {
        "metadata": {"generation": 3},
        "spec": {"replicas": 2},
        "status": {**counts, "observedGeneration": 3, **status},
    }


def test_a_workload_is_rolled_out_once_its_controller_has_seen_it_and_each_pod_is_new_and_ready() -> None:
    assert is_rolled_out(a_workload())
    assert not is_rolled_out(a_workload(observedGeneration=2))
    assert not is_rolled_out(a_workload(updatedReplicas=1))
    assert not is_rolled_out(a_workload(availableReplicas=1))
    assert not is_rolled_out(a_workload(replicas=3)), "an old pod is still there"
    assert not is_rolled_out({**a_workload(), "status": {}})


def test_pods_that_end_or_leave_do_not_run_on() -> None:
    service, job = a_pod("scorer", "1"), a_pod("migration", "2")
    service["spec"]["restartPolicy"], job["spec"]["restartPolicy"] = "Always", "Never"
    leaving = {**service, "metadata": {**service["metadata"], "deletionTimestamp": "2026-03-01T00:00:00Z"}}
    assert running_on([service, job, leaving]) == [service]


def test_nodes_and_images_are_counted() -> None:
    pods = [a_pod("scorer", "1", "node-1"), a_pod("scorer", "2", "node-2", "b")]
    assert spread(pods) == {"node-1": 1, "node-2": 1}
    assert images(pods) == {"scorer": {"a", "b"}}


def test_what_is_left_behind_is_what_was_not_there_before() -> None:
    before = frozenset({"Secret plant/old", "Pod plant/gone"})
    assert left_behind(before, {"Secret plant/old", "Secret plant/new"}) == ["Secret plant/new"]


def test_each_change_of_the_line_changes_it(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"line": {"file": LINE}}))
    lines = [path.read_text() for _, path in changed_lines(values, tmp_path)]
    assert len({LINE, *lines}) == 1 + len(CHANGES)
    assert all(yaml.safe_load(line)["line"] == "cells-1" for line in lines)
    more = yaml.safe_load(more_partitions(values, tmp_path).read_text())
    assert more["topics"]["partitions"] == 16


def test_a_line_that_a_change_does_not_fit_is_said(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"line": {"file": LINE.replace("12", "8")}}))
    with pytest.raises(CheckFailed, match=MORE_PARTITIONS.name):
        more_partitions(values, tmp_path)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_refused_values_say_with_which_words(path: Path) -> None:
    assert len(expected_words(path)) > 10
    assert yaml.safe_load(path.read_text())


def test_values_that_do_not_say_it_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "silent.yaml"
    path.write_text("scorer: {replicas: 0}\n")
    with pytest.raises(CheckFailed, match="does not begin with"):
        expected_words(path)


def test_each_wrong_manifest_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 14


def test_an_end_of_a_training_is_the_expected_one_in_words_reason_and_success() -> None:
    expected = ExpectedEnd("ImagePullBackOff", "training_not_started")
    assert expected.is_met(TrainingEnd("not begun: ImagePullBackOff: no", False, "training_not_started"))
    assert not expected.is_met(TrainingEnd("not begun: Unschedulable", False, "training_not_started"))
    assert not expected.is_met(TrainingEnd("ImagePullBackOff", False, "training_refused"))
    assert not ExpectedEnd("exit status 0", is_success=True).is_met(TrainingEnd("exit status 0"))


def test_a_failed_step_is_told_with_what_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = StepReport()
    with report.step("first") as notes:
        notes.append("noted")
    with pytest.raises(CheckFailed), report.step("second"):
        raise CheckFailed("not so", "a line [/x]")
    said = capsys.readouterr().out
    assert "ok first" in said
    assert "noted" in said
    assert "failed second: not so" in said
    assert "a line [/x]" in said


def test_what_a_killed_run_left_is_ended_and_removed(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    command = [sys.executable, "-c", "import time; time.sleep(300)"]
    left = ServerProcess(Launch("etcd", command, tmp_path, [], lambda: True), tmp_path)
    left.start()
    (tmp_path / "etcd").mkdir()
    clear(tmp_path)
    assert not left.is_alive
    assert start_time(left.pid) is None
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_the_binary_is_that_of_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, builds = tmp_path / "source", tmp_path / "builds"
    source.mkdir()
    for name in kubelab.FILES:
        (source / name).write_text(name)
    monkeypatch.setattr(kubelab, "SOURCE", source)
    monkeypatch.setattr(kubelab, "BUILDS", builds)
    monkeypatch.setenv("PATH", "")  # a machine without Go takes the binary of any
    assert kubelab.built_kubelab() is None
    with pytest.raises(CheckFailed, match="Go is not installed"):
        kubelab.provide_kubelab()
    binary = builds / f"{kubelab.source_digest()}-go1.26.8" / kubelab.PROGRAM
    binary.parent.mkdir(parents=True)
    binary.touch()
    assert kubelab.provide_kubelab() == binary
    (source / "go.sum").write_text("other")
    assert kubelab.built_kubelab() is None


def test_schemas_and_control_plane_are_of_one_kubernetes() -> None:
    module = (kubelab.SOURCE / "go.mod").read_text(encoding="utf-8")
    staging = "v0." + kubelab.KUBERNETES.split(".", 1)[1]
    assert f"k8s.io/kubernetes v{kubelab.KUBERNETES}\n" in module
    assert f"k8s.io/kubernetes@v{kubelab.KUBERNETES}" == fetch.KUBERNETES
    assert f"k8s.io/api => k8s.io/api {staging}\n" in module
