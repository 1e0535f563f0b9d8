"""What the trainer's pod has of a cluster: its token, the way to the API, and the template of trainings."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from typing_extensions import override

from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from tools.verify_deploy.cluster.api import Manifest
from tools.verify_deploy.release.chart_release import ChartRelease
from tools.verify_deploy.report import CheckFailed
from trainer.cluster.client import TrainingCluster
from trainer.cluster.job_template import JobTemplate, read_template
from trainer.cluster.launcher import JobLauncher, JobWatch, owned
from trainer.config import KubernetesSettings

LONG = timedelta(hours=1)
HURRY = 20
COMPONENT = "app.kubernetes.io/component"
_TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}


class HurriedClock(SystemClock):
    """A clock whose seconds are a twentieth: a trainer looks at a Job every two of them."""

    @override
    def monotonic(self) -> float:
        return time.monotonic() * HURRY


@dataclass(frozen=True, slots=True)
class TrainerAccount:
    """The trainer's account in a namespace, and what a trainer's pod is given there."""

    settings: KubernetesSettings
    template: JobTemplate
    pod: str

    def launcher(self, start_within: timedelta = LONG) -> JobLauncher:
        """Return a launcher as the trainer makes one at its start."""
        cluster = self.cluster(self.template.namespace)
        template = owned(self.template, cluster, self.pod)
        return JobLauncher(JobWatch(cluster, template, start_within, HurriedClock()))

    def cluster(self, namespace: str) -> TrainingCluster:
        """Return the trainer's own way to the Jobs of a namespace."""
        return TrainingCluster(self.settings, namespace)

    def changed(self, change: Callable[[Manifest], None]) -> "TrainerAccount":
        """Return the account with a template whose pod ``change`` has changed."""
        manifest = json.loads(json.dumps(self.template.manifest))
        change(manifest["spec"]["template"]["spec"])
        return replace(self, template=JobTemplate(manifest))


def trainer_account(release: ChartRelease, kubeconfig: Path, home: Path) -> TrainerAccount:
    """Return what the trainer of a release has; its token is one of the API and lies in ``home``.

    Raises CheckFailed when the trainer would not take the chart's template.
    """
    return TrainerAccount(
        _settings(release, kubeconfig, home), _template(release, home), _trainer_pod(release)
    )


def _settings(release: ChartRelease, kubeconfig: Path, home: Path) -> KubernetesSettings:
    account = f"/api/v1/namespaces/{release.namespace}/serviceaccounts/{release.workload('trainer')}"
    token = home / "trainer.token"
    token.touch(mode=0o600)
    given = release.api.call("POST", f"{account}/token", _TOKEN_REQUEST)["status"]["token"]
    token.write_text(given, encoding="utf-8")
    cluster = json.loads(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    address = urlsplit(cluster["server"])
    return KubernetesSettings(
        service_host=address.hostname,
        service_port=address.port or 443,
        token_file=token,
        ca_file=Path(cluster["certificate-authority"]),
    )


def _template(release: ChartRelease, home: Path) -> JobTemplate:
    mounted = f"/api/v1/namespaces/{release.namespace}/configmaps/{release.workload('training')}"
    path = home / "job.yaml"
    path.write_text(release.api.call("GET", mounted)["data"]["job.yaml"], encoding="utf-8")
    try:
        return read_template(path)
    except InvalidConfiguration as error:
        raise CheckFailed("the trainer does not take the chart's template", str(error)) from error


def _trainer_pod(release: ChartRelease) -> str:
    names = [
        str(pod["metadata"]["name"])
        for pod in release.pods()
        if pod["metadata"]["labels"].get(COMPONENT) == "trainer"
    ]
    if len(names) != 1:
        raise CheckFailed(f"one trainer was to run, and there are {len(names)}", *names)
    return names[0]
