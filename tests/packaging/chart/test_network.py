"""Nothing reaches a pod and no pod reaches anything, except along the edges of the architecture."""

from typing import Any

import pytest

from tests.support.chart import SETS, RenderedChart, chart_of

COMPONENT = "app.kubernetes.io/component"
# Who opens a connection to what: docs/architecture.md. Everybody also asks the DNS, and pushes telemetry.
EDGES = {
    "producers": {"kafka", "cameras"},
    "scorer": {"kafka", "triton", "store"},
    "trainer": {"kafka", "redis", "triton", "store"},
    "alerts": {"kafka", "redis", "database", "store", "deliveries"},
    "steadyline": {"kafka", "redis", "triton", "store"},
    "migration": {"database"},
}
PORTS = {"kafka": 9093, "redis": 6379, "database": 5432, "triton": 8001, "otlp": 4318, "cameras": 554}


def policies(chart: RenderedChart) -> dict[str, dict[str, Any]]:
    """Return component → the policy of its pods."""
    found = chart.of_kind("NetworkPolicy").values()
    return {
        policy["spec"]["podSelector"]["matchLabels"][COMPONENT]: policy["spec"]
        for policy in found
        if COMPONENT in policy["spec"]["podSelector"]["matchLabels"]
    }


def ports_out(policy: dict[str, Any]) -> set[int]:
    """Return the ports to which a policy lets its pods connect, the DNS left out."""
    return {port["port"] for rule in policy["egress"] for port in rule["ports"]} - {53}


@pytest.mark.parametrize("values", SETS)
def test_whatever_is_not_allowed_is_denied(values: str) -> None:
    chart = chart_of(values)
    deny = chart.of_kind("NetworkPolicy")["rel-steadyline-deny"]["spec"]
    assert deny == {
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/name": "steadyline", "app.kubernetes.io/instance": "rel"}
        },
        "policyTypes": ["Ingress", "Egress"],
    }
    for pod in chart.pods():
        assert deny["podSelector"]["matchLabels"].items() <= pod.template["metadata"]["labels"].items()
        assert pod.component in policies(chart), f"{pod.name} reaches nothing"


@pytest.mark.parametrize("component", EDGES)
def test_a_pod_reaches_what_its_service_needs_and_nothing_else(component: str) -> None:
    plant = policies(chart_of("plant"))[component]
    wanted = {PORTS[edge] for edge in EDGES[component] if edge in PORTS}
    wanted |= {443} if "store" in EDGES[component] else set()
    wanted |= {443, 587, 8883} if "deliveries" in EDGES[component] else set()
    wanted |= {4318} if component in ("producers", "scorer", "trainer", "alerts") else set()
    assert ports_out(plant) == wanted
    for rule in plant["egress"]:
        is_anywhere = component == "alerts" and len(rule["ports"]) == 3
        assert "to" in rule or is_anywhere, "the plant names every peer but those of deliveries"


def test_the_servers_of_a_trial_are_reached_by_those_who_use_them() -> None:
    found = policies(chart_of("trial"))
    callers = {
        server: {
            peer["podSelector"]["matchLabels"][COMPONENT]
            for rule in found[server]["ingress"]
            for peer in rule["from"]
            if "podSelector" in peer
        }
        for server in ("triton", "redis", "postgresql")
    }
    for server, edge in (("triton", "triton"), ("redis", "redis"), ("postgresql", "database")):
        assert callers[server] == {component for component, edges in EDGES.items() if edge in edges}
        assert found[server]["egress"] == []


def test_a_role_of_aws_is_had_where_every_pod_of_kafka_may_ask_for_it() -> None:
    way = 'kafka={"saslMechanism":"AWS_MSK_IAM","awsRegion":"eu-central-1"}'
    found = policies(chart_of("defaults", way, 'networkPolicy.aws={"ports":[4443],"to":[]}'))
    assert {name for name, policy in found.items() if 4443 in ports_out(policy)} == {
        name for name, edges in EDGES.items() if "kafka" in edges
    }
    assert not [policy for policy in policies(chart_of("defaults")).values() if 4443 in ports_out(policy)]


def test_the_toolbox_reaches_what_the_doctor_reaches() -> None:
    chart = chart_of("trial", "toolbox.enabled=true")
    found = policies(chart)
    assert found["toolbox"]["egress"] == found["steadyline"]["egress"]
    assert "ingress" not in found["toolbox"], "nobody connects to it"
    for server in ("triton", "redis"):
        peers = [peer for rule in found[server]["ingress"] for peer in rule["from"] if "podSelector" in peer]
        assert "toolbox" in {peer["podSelector"]["matchLabels"][COMPONENT] for peer in peers}
    (toolbox,) = chart.workloads("toolbox")
    (doctor,) = (pod for pod in chart.pods() if pod.name.endswith("-doctor"))
    assert toolbox.environment == doctor.environment
    assert set(toolbox.files()) == set(doctor.files())
    assert toolbox.container["image"] == doctor.container["image"]


def test_doors_open_to_who_is_named_only() -> None:
    for values in SETS:
        for component, policy in policies(chart_of(values)).items():
            for rule in policy.get("ingress", ()):
                assert rule["from"], component
    (api,) = (
        rule for rule in policies(chart_of("plant"))["alerts"]["ingress"] if rule["ports"][0]["port"] == "api"
    )
    assert api["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]


def test_the_api_is_reached_over_tls_only() -> None:
    (ingress,) = chart_of("plant").of_kind("Ingress").values()
    hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
    assert [(tls["hosts"], tls["secretName"]) for tls in ingress["spec"]["tls"]] == [
        (hosts, "cells-1-alerts-tls")
    ]
    (certificate,) = chart_of("plant").of_kind("Certificate").values()
    assert (certificate["spec"]["secretName"], certificate["spec"]["dnsNames"]) == (
        "cells-1-alerts-tls",
        hosts,
    )
    gateway = 'alerts.route={"enabled":true,"host":"a.example","gateway":{"name":"plant","namespace":"edge"}}'
    (route,) = chart_of("defaults", gateway).of_kind("HTTPRoute").values()
    assert route["spec"]["parentRefs"] == [{"name": "plant", "namespace": "edge", "sectionName": "https"}]
