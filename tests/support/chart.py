"""The Helm chart as tests look at it: rendered once for each set of values, its pods with their files."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.chart.files import CHART
from tools.chart.helm import helm_program, render

PLANT = CHART / "values-plant.yaml"
# Every set of values that docs/kubernetes.md names.
SETS: Mapping[str, tuple[Path, ...]] = {
    "defaults": (),
    "trial": (CHART / "values-trial.yaml",),
    "plant": (PLANT,),
    "gpu": (PLANT, CHART / "values-gpu.yaml"),
    "airgapped": (PLANT, CHART / "values-airgapped.yaml"),
}
SERVICES = ("producers", "scorer", "trainer", "alerts")
SECRETS = "/run/secrets/"


def require_helm() -> None:
    """Skip loudly on a laptop that lacks helm; fail in CI."""
    if helm_program() is not None:
        return
    if os.environ.get("CI"):
        pytest.fail("helm missing in CI: `make init` must bring it")
    pytest.skip("helm missing: run `make init`")


@dataclass(frozen=True)
class ChartPod:
    """One pod of the chart: its owner, and the template of the pod."""

    owner: dict[str, Any]
    template: dict[str, Any]

    @property
    def name(self) -> str:
        """Kind and name of the owner."""
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def spec(self) -> dict[str, Any]:
        """The pod itself."""
        found: dict[str, Any] = self.template["spec"]
        return found

    @property
    def component(self) -> str:
        """What it is a pod of: scorer, or migration for example."""
        return str(self.template["metadata"]["labels"]["app.kubernetes.io/component"])

    @property
    def container(self) -> dict[str, Any]:
        """Its only container."""
        (found,) = self.spec["containers"]
        return dict(found)

    @property
    def environment(self) -> dict[str, str]:
        """Variable → value; of what comes from a field, the path of the field."""
        return {
            one["name"]: one["value"] if "value" in one else one["valueFrom"]["fieldRef"]["fieldPath"]
            for one in self.container.get("env", ())
        }

    def files(self) -> Iterator[str]:
        """Yield the path of every file that a secret or a ConfigMap puts into the container."""
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            volume = volumes.get(mount["name"], {})  # a StatefulSet makes its own
            for item in volume.get("secret", {}).get("items", ()):
                yield f"{mount['mountPath']}/{item['path']}"
            if "configMap" in volume:
                yield f"{mount['mountPath']}/{'job' if volume['name'] == 'training' else 'line'}.yaml"


@dataclass(frozen=True)
class RenderedChart:
    """All objects of the chart with one set of values."""

    objects: list[dict[str, Any]]

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return name → object."""
        return {found["metadata"]["name"]: found for found in self.objects if found["kind"] == kind}

    def pods(self) -> list[ChartPod]:
        """Return every pod that comes of the chart, those of hooks, tests and trainings too."""
        made = [*self.objects, *self.trainings()]
        return [pod for found in made if (pod := _pod(found)) is not None]

    def trainings(self) -> list[dict[str, Any]]:
        """Return the template of a training's Job, if trainings are Jobs."""
        maps = self.of_kind("ConfigMap").values()
        return [yaml.safe_load(found["data"]["job.yaml"]) for found in maps if "job.yaml" in found["data"]]

    def workloads(self, component: str) -> list[ChartPod]:
        """Return the pods of a component that run for as long as the release is there."""
        return [
            pod
            for pod in self.pods()
            if pod.component == component and pod.owner["kind"] in ("Deployment", "StatefulSet")
        ]


@cache
def chart_of(name: str, *more: str) -> RenderedChart:
    """Render a set of values, with ``more`` of the form ``scorer.replicas=3``; needs helm."""
    require_helm()
    return RenderedChart(render([*SETS[name], *more]))


def _pod(found: dict[str, Any]) -> ChartPod | None:
    if found["kind"] == "Pod":
        return ChartPod(found, {"metadata": found["metadata"], "spec": found["spec"]})
    template = found.get("spec", {}).get("template") if found["kind"] in _OWNERS else None
    return None if template is None else ChartPod(found, template)


_OWNERS = ("Deployment", "StatefulSet", "Job")
