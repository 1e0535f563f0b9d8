"""One release of the chart: rendered, installed, changed and taken away by Helm."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.setup.command import ROOT
from tools.verify_deploy.cluster.api import ClusterApi, Manifest
from tools.verify_deploy.cluster.kubelab import KUBERNETES
from tools.verify_deploy.cluster.programs import WAIT_SECONDS, ClusterPrograms
from tools.verify_deploy.release.workloads import running_on
from tools.verify_deploy.report import CheckFailed

SITE = ROOT / "deploy" / "verify" / "site.yaml"
PLANT = "values-plant.yaml"
ON_TOP_OF_PLANT = ("values-gpu.yaml", "values-airgapped.yaml")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The same objects were valid at the first installation; Helm fetches all schemas to see it, for seconds.
_VALID = "--disable-openapi-validation"
_WAIT = ("--wait", "--timeout", f"{WAIT_SECONDS}s")


@dataclass(frozen=True, slots=True)
class ChartRelease:
    """A chart, and the name and namespace of its one release."""

    chart: Path
    programs: ClusterPrograms
    api: ClusterApi
    name: str = "line-1"
    namespace: str = "plant"

    def values_files(self) -> list[Path]:
        """Return the values files of the chart, the usual values first."""
        return sorted(
            self.chart.glob("values*.yaml"), key=lambda path: (path.name != "values.yaml", path.name)
        )

    def options(self, name: str) -> list[str]:
        """Return the options of Helm for one values file: those it goes on top of first, the site's last."""
        below = [PLANT] if name in ON_TOP_OF_PLANT else []
        paths = [*(self.chart / one for one in (*below, name)), SITE]
        return [word for path in paths for word in ("-f", str(path))]

    def render(self, options: Sequence[str]) -> str:
        """Return the manifests as text; raises CheckFailed when the chart refuses its values."""
        where = ("-n", self.namespace, "--kube-version", KUBERNETES)
        return self.programs.helm("template", self.name, str(self.chart), *where, *options)

    def install(self, options: Sequence[str]) -> None:
        """Install and wait until everything is ready in Helm's own eyes."""
        self.programs.helm("install", self.name, str(self.chart), "-n", self.namespace, *_WAIT, *options)

    def upgrade(self, options: Sequence[str]) -> None:
        """Change the release; whoever called waits for what comes of it."""
        self.programs.helm("upgrade", self.name, str(self.chart), "-n", self.namespace, _VALID, *options)

    def rollback(self, revision: int) -> None:
        """Go back to a revision; whoever called waits for what comes of it."""
        self.programs.helm("rollback", self.name, str(revision), "-n", self.namespace)

    def uninstall(self) -> None:
        """Take everything away; whoever called waits until it is gone."""
        self.programs.helm("uninstall", self.name, "-n", self.namespace)

    def test(self) -> str:
        """Run the chart's own tests; here that says that their pods are taken and end."""
        said = self.programs.helm("test", self.name, "-n", self.namespace, "--timeout", f"{WAIT_SECONDS}s")
        count = said.count("Phase:          Succeeded")
        if not count:
            raise CheckFailed("the chart has no test", *said.splitlines())
        return f"{count} hooks ended well"

    def manifests(self) -> list[Manifest]:
        """Return what Helm has made for the release as it is now, hooks left out."""
        return manifests_of(self.programs.helm("get", "manifest", self.name, "-n", self.namespace))

    def workload(self, short: str) -> str:
        """Return the full name of a workload, as the chart makes it."""
        return f"{self.name}-{self.chart.name}-{short}"

    def workloads(self) -> list[Manifest]:
        """Return what keeps pods running: Deployments and StatefulSets."""
        place = f"/apis/apps/v1/namespaces/{self.namespace}"
        return [*self.api.items(f"{place}/deployments"), *self.api.items(f"{place}/statefulsets")]

    def claims(self) -> list[Manifest]:
        """Return what asks for volumes."""
        return self.api.items(f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims")

    def all_pods(self) -> list[Manifest]:
        """Return every pod of the namespace."""
        return self.api.items(f"/api/v1/namespaces/{self.namespace}/pods")

    def pods(self) -> list[Manifest]:
        """Return the pods that run on, those on their way out left out."""
        return running_on(self.all_pods())


def manifests_of(text: str) -> list[Manifest]:
    """Return the objects of rendered text."""
    return [one for one in yaml.load_all(text, Loader=_LOADER) if one]
