"""One run: a control plane is started, the chart goes through every check on it, and everything is ended."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steadyline.servers.orphan import end_orphan
from tools.setup.command import ROOT
from tools.verify_deploy.accounts.rights import check_rights, check_tokens
from tools.verify_deploy.accounts.trainings import check_trainings
from tools.verify_deploy.admission.accepted import (
    apply_definitions,
    apply_policy,
    check_values_file,
    make_namespace,
)
from tools.verify_deploy.admission.refusals import check_refusals
from tools.verify_deploy.admission.refused_values import check_refused_values
from tools.verify_deploy.cluster.api import ClusterApi, Manifest
from tools.verify_deploy.cluster.control_plane import ControlPlane
from tools.verify_deploy.cluster.fake_kubelets import NODES, FakeKubelets
from tools.verify_deploy.cluster.programs import ClusterPrograms
from tools.verify_deploy.release.changes import changed_lines, more_partitions
from tools.verify_deploy.release.chart_release import PLANT, ChartRelease
from tools.verify_deploy.release.lifecycle import ReleaseLife
from tools.verify_deploy.report import StepReport

LOCK = "lock"
JOBS = ("--set", "trainer.jobs.enabled=true")  # installed so; each values file is also tried as it is
SCALED = "scorer"  # the component that KEDA scales
NEWER = ROOT / "deploy" / "verify" / "newer-images.yaml"


@dataclass(frozen=True, slots=True)
class Lab:
    """What a run works with: the API, and the programs that an operator has."""

    api: ClusterApi
    programs: ClusterPrograms
    kubeconfig: Path
    home: Path


@contextmanager
def lab(kubelab: Path, helm: Path, home: Path, report: StepReport) -> Iterator[Lab]:
    """Yield a control plane with three nodes; at the end it is gone, and its folder empty."""
    clear(home)
    control_plane = ControlPlane(kubelab, home)
    kubelets: FakeKubelets | None = None
    try:
        with report.step("control plane") as notes:
            api = control_plane.start()
            notes.append(f"Kubernetes {api.call('GET', '/version')['gitVersion']}")
        with report.step("nodes") as notes:
            kubelets = FakeKubelets(api)
            kubelets.start()
            notes.append(", ".join(NODES))
        programs = ClusterPrograms(kubelab, helm, control_plane.kubeconfig, home)
        yield Lab(api, programs, control_plane.kubeconfig, home)
        kubelets.check()
    finally:
        if kubelets is not None:
            kubelets.leave()
        control_plane.stop()
        clear(home)


def clear(home: Path) -> None:
    """End what a killed run has left, by the process ids it wrote down, and empty its folder."""
    for record in home.glob("*.pid"):
        end_orphan(record)
    for path in home.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def verify(chart: Path, cluster: Lab, report: StepReport) -> None:
    """Take the chart through every check; the first that fails raises CheckFailed."""
    release = ChartRelease(chart, cluster.programs, cluster.api)
    rendered = _admit(release, report)
    with report.step("wrong values are refused") as notes:
        notes.append(check_refused_values(release))
    life = ReleaseLife(release, [*release.options(PLANT), *JOBS])
    with report.step("install, rolled out") as notes:
        notes.append(life.install())
    with report.step("wrong manifests are refused") as notes:
        notes.append(check_refusals(cluster.api, rendered, release.namespace))
    with report.step("rights of the accounts") as notes:
        notes.append(check_rights(release.api, release.namespace, release.workload("trainer")))
        notes.append(check_tokens(release.pods(), release.workload("trainer")))
    with report.step("trainings as Jobs") as notes:
        notes.append(check_trainings(release, cluster.kubeconfig, cluster.home))
    with report.step("helm test") as notes:
        notes.append(release.test())
    _change(release, life, cluster.home, report)
    with report.step("uninstall, data kept") as notes:
        notes.append(life.uninstall())
    with report.step("install again") as notes:
        notes.append(life.install_again())
    with report.step("uninstall") as notes:
        notes.append(life.remove())


def _admit(release: ChartRelease, report: StepReport) -> list[Manifest]:
    """Check every values file on the server; returns what the plant's renders."""
    with report.step("definitions of the operators") as notes:
        notes.append(apply_definitions(release.api))
    with report.step("namespace and policy") as notes:
        notes.append(make_namespace(release.api, release.namespace))
        notes.append(apply_policy(release.api))
    rendered: dict[str, list[Manifest]] = {}
    for path in release.values_files():
        with report.step(f"{path.name}: strict, warnings are errors") as notes:
            rendered[path.name] = check_values_file(release, release.options(path.name))
            notes.append(f"{len(rendered[path.name])} objects")
    return rendered[PLANT]


def _change(release: ChartRelease, life: ReleaseLife, home: Path, report: StepReport) -> None:
    """Change an installed release in every way, and go back."""
    with report.step("scale, spread over the nodes") as notes:
        notes.append(life.scale(SCALED))
    with report.step("upgrade: newer images") as notes:
        notes.append(life.upgrade(SCALED, NEWER))
    for change, line in changed_lines(release.chart / PLANT, home):
        with report.step(f"upgrade: {change.name}") as notes:
            notes.append(life.change_line(change, line, NEWER))
    with report.step("upgrade: more partitions, refused") as notes:
        notes.append(life.refuse_partitions(more_partitions(release.chart / PLANT, home)))
    with report.step("rollback") as notes:
        notes.append(life.rollback())
