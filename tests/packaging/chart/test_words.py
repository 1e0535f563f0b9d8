"""What the chart says: arguments that programs know, notes that say what comes next, our own version."""

import shutil
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperCommand, TyperGroup

from tests.support.chart import SETS, ChartPod, chart_of, require_helm
from tools.chart.files import CHART
from tools.chart.helm import render
from tools.setup.command import ROOT

OURS = ("producers", "scorer", "trainer", "alerts", "steadyline", "migration", "triton")


def command_of(package: str, verb: str) -> object:
    """Return the command that `python -m package verb` runs, or one of the verbs of `steadyline`."""
    module = import_module(f"steadyline.cli.{verb}" if package == "steadyline" else f"{package}.cli")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    alone = typer.Typer()
    alone.command(name=verb)(module.command)
    return typer.main.get_command(alone)


def unknown_arguments(pod: ChartPod) -> list[str]:
    """Return the arguments of a pod that its program does not know."""
    words = [str(word) for word in pod.container["args"]]
    package = pod.container["image"].split("@")[0].rsplit("/", 1)[-1]
    verb = words[0]
    if package == "triton":  # its image runs `steadyline triton`
        package, verb = "steadyline", "triton"
    command = command_of(package, verb)
    left = words if package != "steadyline" else words[words[0] == verb :]
    while isinstance(command, TyperGroup) and left:
        found = command.commands.get(left[0])
        if found is None:
            return left[:1]
        command, left = found, left[1:]
    assert isinstance(command, TyperCommand)
    known = {name for parameter in command.params for name in parameter.opts}
    return [word for word in left if word.startswith("--") and word not in known]


@pytest.mark.parametrize("values", SETS)
def test_every_argument_is_one_that_its_program_knows(values: str) -> None:
    pods = [pod for pod in chart_of(values).pods() if pod.component in OURS]
    assert {pod.component for pod in pods} >= {
        "producers",
        "scorer",
        "trainer",
        "alerts",
        "steadyline",
        "triton",
    }
    assert {pod.name: unknown for pod in pods if (unknown := unknown_arguments(pod))} == {}


def test_an_argument_that_no_program_knows_is_found() -> None:
    (pod,) = chart_of("defaults").workloads("scorer")
    for words, unknown in ((["run", "--lines", "x"], ["--lines"]), (["ran"], ["ran"])):
        pod.template["spec"]["containers"][0] = {**pod.container, "args": words}
        assert unknown_arguments(pod) == unknown
    chart_of.cache_clear()


def notes(folder: Path, *values: Path | str) -> str:
    """Return the notes of an installation: helm tells them a cluster only, so they become an object here."""
    require_helm()
    shutil.copytree(ROOT / CHART, folder / "chart")
    text = (folder / "chart/templates/NOTES.txt").read_text(encoding="utf-8")
    (folder / "chart/templates/_notes.tpl").write_text(f'{{{{ define "notes" }}}}{text}{{{{ end }}}}')
    told = '{apiVersion: v1, kind: Notes, metadata: {name: notes}, text: {{ include "notes" . | toJson }}}'
    (folder / "chart/templates/told.yaml").write_text(told)
    (found,) = (one for one in render(list(values), folder / "chart") if one["kind"] == "Notes")
    return str(found["text"])


def test_the_notes_say_what_is_missing_and_what_comes_next(tmp_path: Path) -> None:
    text = notes(tmp_path)
    assert (
        "no digest is given for the images of producers, scorer, trainer, alerts, steadyline, triton" in text
    )
    assert "This is the example line" in text
    for secret in ("steadyline-scorer", "steadyline-redis", "steadyline-database", "steadyline-s3"):
        assert secret in text
    assert "helm -n line test rel" in text
    assert "python -m alerts first-token" in text
    assert "Models are not signed" in text


def test_the_notes_of_a_plant_say_nothing_that_it_has_done(tmp_path: Path) -> None:
    digests = [
        f'images.{name}.digest="sha256:{"a" * 64}"'
        for name in ("producers", "scorer", "trainer", "alerts", "steadyline", "triton")
    ]
    text = notes(tmp_path, ROOT / CHART / "values-plant.yaml", *digests)
    for told in ("no digest", "example line", "not signed"):
        assert told not in text
    assert "https://alerts.cells-1.plant.example/api/v1" in text


@pytest.mark.parametrize("values", SETS)
def test_the_notes_name_all_that_must_be_there_and_nothing_else(values: str, tmp_path: Path) -> None:
    text = notes(tmp_path, *SETS[values])
    told = text.partition("What must be in this namespace")[2].partition("Next:")[0].splitlines()
    wanted = {row.strip().partition("  made by")[0] for row in told[1:] if row.startswith("  ")}
    assert wanted == set(awaited(values))


def awaited(values: str) -> Iterator[str]:
    """Yield what the objects of the chart take from the namespace and do not bring."""
    chart = chart_of(values)
    keys: dict[str, set[str]] = {}
    for volume in (volume for pod in chart.pods() for volume in pod.spec["volumes"]):
        if secret := volume.get("secret"):
            keys.setdefault(secret["secretName"], set()).update(item["key"] for item in secret["items"])
        for kind, field, made in (
            ("claim", volume.get("persistentVolumeClaim", {}).get("claimName"), "PersistentVolumeClaim"),
            ("configmap", volume.get("configMap", {}).get("name"), "ConfigMap"),
        ):
            if field is not None and field not in chart.of_kind(made):
                yield f"{kind} {field}"
    for pod in chart.pods():
        for pull in pod.spec.get("imagePullSecrets", ()):
            keys[pull["name"]] = {".dockerconfigjson"}
    for ingress in chart.of_kind("Ingress").values():
        keys[ingress["spec"]["tls"][0]["secretName"]] = {"tls.crt", "tls.key"}
    for name, there in keys.items():
        yield f"secret {name}  ({', '.join(sorted(there))})"


def test_the_notes_say_which_secrets_others_make(tmp_path: Path) -> None:
    text = notes(tmp_path, *SETS["plant"])
    made = {row.split()[1] for row in text.splitlines() if row.endswith("made by Strimzi")}
    users = chart_of("plant").of_kind("KafkaUser").keys()
    assert made == users | {"plant-cluster-ca-cert"}
    assert "cells-1-alerts-tls  (tls.crt, tls.key)  made by cert-manager" in text


def test_the_notes_of_a_trial_ask_for_the_images_of_its_servers(tmp_path: Path) -> None:
    assert "alerts, steadyline, triton, redis, postgresql." in notes(tmp_path, *SETS["trial"])


def test_runbooks_are_where_the_plant_publishes_them() -> None:
    based = chart_of("plant", 'monitoring.rules.runbookBase="https://docs.plant.example/line"')
    for chart, begin in ((based, "https://docs.plant.example/line/docs/"), (chart_of("plant"), "docs/")):
        urls = [
            rule["annotations"]["runbook_url"]
            for rules in chart.of_kind("PrometheusRule").values()
            for group in rules["spec"]["groups"]
            for rule in group["rules"]
            if "alert" in rule
        ]
        assert urls
        assert all(url.startswith(f"{begin}operations/") for url in urls)


def test_the_chart_has_the_version_of_the_product() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((ROOT / CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == project["version"]


def test_every_target_of_prometheus_has_the_labels_that_rules_and_dashboards_go_by() -> None:
    monitors = chart_of("plant").of_kind("PodMonitor")
    assert len(monitors) == 2
    for monitor in monitors.values():
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            made = {one["targetLabel"]: one for one in endpoint["relabelings"]}
            assert made["job"]["sourceLabels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]
            assert made["line"]["replacement"], "the name of the line"
