"""Every pod of the chart is locked, has the doors that the services have, and time enough to stop."""

import re
from typing import Any

import pytest

from alerts.config import AlertsSettings
from producers.config import ProducersSettings
from scorer.config import ScorerSettings
from steadyline.service import STOP_GRACE, STOP_WITHIN
from tests.support.chart import SERVICES, SETS, ChartPod, chart_of

# What CHANGELOG.md asks for, in seconds; a service that hangs ends by itself just before.
LEAST_GRACE = {"scorer": 30, "producers": 25, "trainer": 40, "alerts": 20}
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
ORDINARY_VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
ENTRY = {
    "producers": "producers",
    "scorer": "scorer",
    "trainer": "trainer",
    "alerts": "alerts",
    "migration": "alerts",
    "steadyline": "steadyline",
}


def makes_jobs(pod: ChartPod) -> bool:
    """True for the one pod that asks the API server for anything."""
    return pod.environment.get("TRAINER_LAUNCHER") == "kubernetes"


def open_in(pod: ChartPod) -> list[str]:
    """Return what of a pod Pod Security `restricted` and our own rules would not take."""
    spec, container, found = pod.spec, pod.container, []
    own, whole = container.get("securityContext", {}), spec.get("securityContext", {})
    wanted: dict[str, tuple[Any, Any]] = {
        "runs as root": (whole.get("runAsNonRoot"), True),
        "runs as user 0": (whole.get("runAsUser", 0) > 0, True),
        "has no seccomp profile": (whole.get("seccompProfile"), {"type": "RuntimeDefault"}),
        "may get more rights": (own.get("allowPrivilegeEscalation"), False),
        "writes its root": (own.get("readOnlyRootFilesystem"), True),
        "keeps capabilities": (own.get("capabilities"), {"drop": ["ALL"]}),
        "is privileged": (own.get("privileged", False), False),
        "holds a token": (spec.get("automountServiceAccountToken"), makes_jobs(pod)),
        "knows every Service by variables": (spec.get("enableServiceLinks"), False),
        "has no account of its own": (spec.get("serviceAccountName", "default") != "default", True),
        "shares what is the node's": (
            any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
            False,
        ),
        "is not pinned": (bool(PINNED.fullmatch(container["image"])), True),
        "has no limit of memory": ("memory" in container["resources"].get("limits", {}), True),
        "asks for nothing": ({"cpu", "memory"} <= set(container["resources"].get("requests", {})), True),
    }
    found += [problem for problem, (is_, must) in wanted.items() if is_ != must]
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    return found + sorted(kinds - ORDINARY_VOLUMES)


@pytest.mark.parametrize("values", SETS)
def test_every_pod_is_locked(values: str) -> None:
    pods = chart_of(values).pods()
    assert len(pods) >= 7
    assert {pod.name: problems for pod in pods if (problems := open_in(pod))} == {}


def test_an_open_pod_is_found() -> None:
    bad = 'scorer.extraVolumes=[{"name":"host","hostPath":{"path":"/"}}]'
    (pod,) = chart_of("defaults", bad).workloads("scorer")
    assert open_in(pod) == ["hostPath"]


@pytest.mark.parametrize("values", SETS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_asked_at_the_doors_that_it_has(service: str, values: str) -> None:
    for pod in chart_of(values).workloads(service):
        container = pod.container
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        doors = {
            kind: (container[kind]["httpGet"]["path"], ports[container[kind]["httpGet"]["port"]])
            for kind in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        port = int(pod.environment["STEADYLINE_HEALTH_PORT"])
        assert doors == {
            "startupProbe": ("/livez", port),
            "livenessProbe": ("/livez", port),
            "readinessProbe": ("/readyz", port),
        }
        assert pod.environment["STEADYLINE_HEALTH_HOST"] == "0.0.0.0"
        started = container["startupProbe"]
        assert started["periodSeconds"] * started["failureThreshold"] >= 120


@pytest.mark.parametrize("values", SETS)
def test_every_port_that_is_named_is_one_of_the_pods_behind_it(values: str) -> None:
    chart = chart_of(values)
    ports = {pod.component: {port["name"] for port in pod.container.get("ports", ())} for pod in chart.pods()}
    for service in chart.of_kind("Service").values():
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert {port["targetPort"] for port in service["spec"].get("ports", ())} <= ports[component]
    for policy in chart.of_kind("NetworkPolicy").values():
        component = policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        for rule in policy["spec"].get("ingress", ()):
            assert {port["port"] for port in rule.get("ports", ())} <= ports[component]
    (alerts,) = chart.workloads("alerts")
    assert {"name": "api", "containerPort": int(alerts.environment["ALERTS_API_PORT"])} in alerts.container[
        "ports"
    ]


STOPS = {
    "scorer": float(ScorerSettings.model_fields["stop_seconds"].default),
    "producers": float(ProducersSettings.model_fields["stop_seconds"].default),
    "alerts": float(AlertsSettings.model_fields["stop_seconds"].default),
    "trainer": STOP_WITHIN.total_seconds(),
}


@pytest.mark.parametrize("values", SETS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_is_killed_later_than_its_service_ends_by_itself(service: str, values: str) -> None:
    for pod in chart_of(values).workloads(service):
        stop = float(pod.environment.get(f"{service.upper()}_STOP_SECONDS", STOPS[service]))
        before = pod.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = pod.spec["terminationGracePeriodSeconds"]
        assert grace > before + stop + STOP_GRACE.total_seconds()
        assert grace > LEAST_GRACE[service]


def test_a_longer_stop_gets_a_longer_grace() -> None:
    (pod,) = chart_of("defaults", "scorer.stopSeconds=120").workloads("scorer")
    assert pod.environment["SCORER_STOP_SECONDS"] == "120"
    assert pod.spec["terminationGracePeriodSeconds"] > 120 + STOP_GRACE.total_seconds()


@pytest.mark.parametrize("values", SETS)
def test_a_pod_runs_the_image_of_its_program(values: str) -> None:
    for pod in chart_of(values).pods():
        if pod.component in ENTRY:
            assert f"/{ENTRY[pod.component]}@sha256:" in pod.container["image"]
            assert "command" not in pod.container  # the images' own


def test_a_gpu_is_asked_for_by_what_uses_one_only() -> None:
    limits = {
        pod.component: pod.container["resources"]["limits"].get("nvidia.com/gpu")
        for pod in chart_of("gpu").pods()
    }
    assert {component for component, count in limits.items() if count} == {"training", "triton"}
    assert not any("nvidia.com/gpu" in str(pod.container["resources"]) for pod in chart_of("plant").pods())


def test_whoever_is_several_is_spread_and_may_lose_one_at_a_time() -> None:
    chart = chart_of("plant")
    budgets = chart.of_kind("PodDisruptionBudget")
    assert {name.removeprefix("rel-steadyline-") for name in budgets} == {"scorer", "alerts"}
    assert {budget["spec"]["maxUnavailable"] for budget in budgets.values()} == {1}
    for component in ("scorer", "alerts"):
        (pod,) = chart.workloads(component)
        keys = [one["topologyKey"] for one in pod.spec["topologySpreadConstraints"]]
        assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        assert pod.spec["priorityClassName"] in chart.of_kind("PriorityClass")


@pytest.mark.parametrize("values", SETS)
def test_no_account_may_do_anything_in_the_cluster(values: str) -> None:
    chart = chart_of(values)
    kinds = {found["kind"] for found in chart.objects}
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds
    assert bool({"Role", "RoleBinding"} & kinds) == any(makes_jobs(pod) for pod in chart.pods())
    accounts = chart.of_kind("ServiceAccount")
    assert {account["automountServiceAccountToken"] for account in accounts.values()} == {False}
    assert {pod.spec["serviceAccountName"] for pod in chart.pods()} == set(accounts)
