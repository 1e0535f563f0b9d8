"""The chart goes through ``make verify-deploy`` where the control plane is built; it is never built here."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from steadyline.servers.orphan import end_orphan
from tests.packaging.rules import ROOT
from tests.support.eventually import eventually
from tools.chart.helm import helm_program
from tools.verify_deploy.__main__ import CHART
from tools.verify_deploy.cluster.kubelab import built_kubelab

COMMAND = [sys.executable, "-m", "tools.verify_deploy", "--home"]
# One line of the chart's pods, and what an attacker would want in its place.
LOCKED, OPENED = "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"


@pytest.fixture(autouse=True)
def tools() -> None:
    """Skip where the tools are not at hand, in CI too: building them takes ten minutes of CPU."""
    if built_kubelab() is None:
        pytest.skip("the control plane is not in .cache/kubelab: `make verify-deploy` builds it, once")
    if helm_program() is None:
        pytest.skip("Helm is not there: `make init` brings it")


def verify(home: Path, options: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, str(home), *options], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )


def test_the_chart_lives_on_a_real_control_plane(tmp_path: Path) -> None:
    done = verify(tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything was as it should be" in done.stdout
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"], "all of it is removed"


def test_a_chart_whose_pods_may_gain_privileges_is_refused(tmp_path: Path) -> None:
    chart = tmp_path / CHART.name
    shutil.copytree(CHART, chart)
    templates = [path for path in chart.rglob("*.tpl") if LOCKED in path.read_text(encoding="utf-8")]
    assert templates, "the chart's pods are written in another way: change this test"
    for path in templates:
        path.write_text(path.read_text(encoding="utf-8").replace(LOCKED, OPENED), encoding="utf-8")
    done = verify(tmp_path / "run", ["--chart", str(chart)])
    assert done.returncode == 1, done.stdout
    assert re.search(r"failed values.*\.yaml", done.stdout), done.stdout
    assert "would violate PodSecurity" in done.stdout


def test_a_run_that_is_told_to_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "run"
    with subprocess.Popen(
        [*COMMAND, str(home)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        eventually(lambda: (home / "kube-apiserver.pid").exists(), within=60)
        records = {path: path.read_text(encoding="utf-8") for path in home.glob("*.pid")}
        run.send_signal(signal.SIGTERM)
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert [path.name for path in home.iterdir()] == ["lock"]
    for path, record in records.items():
        path.write_text(record, encoding="utf-8")
        assert not end_orphan(path), f"{path.stem} runs on"
