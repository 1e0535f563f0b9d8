"""Topics, rights and brokers are those of the code, and what scales stays within the partitions."""

import json

import pytest

from steadyline.contracts.topics import line_topics
from steadyline.kafka.acl_forms import as_json
from steadyline.kafka.acls import LineNames, line_rights
from tests.support.chart import SETS, chart_of
from tools.chart.files import chart_files, different_files, stale_files
from tools.chart.schemas import schema_problems

TOPICS = line_topics("cells-1", 12)


def test_the_files_of_the_chart_are_what_the_code_says() -> None:
    made = chart_files()
    assert [str(path) for path in (*different_files(made), *stale_files(made))] == [], (
        "`python -m tools.chart` writes them"
    )


def test_each_topic_of_the_registry_is_one_of_strimzi() -> None:
    made = {topic["spec"]["topicName"]: topic for topic in chart_of("plant").of_kind("KafkaTopic").values()}
    assert made.keys() == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        spec = made[topic.name]["spec"]
        assert (spec["partitions"], spec["replicas"]) == (topic.partitions, 3)
        assert spec["config"].items() >= topic.config.items()
        assert spec["config"]["min.insync.replicas"] == "2"
        assert spec["config"]["unclean.leader.election.enable"] == "false"
        assert made[topic.name]["metadata"]["labels"]["strimzi.io/cluster"] == "plant"


def test_each_service_has_a_user_with_its_rights_and_no_others() -> None:
    users = chart_of("plant").of_kind("KafkaUser")
    rights = as_json(line_rights(TOPICS, LineNames("cells-1", {}, {})))
    assert {name: user["spec"]["authorization"] for name, user in users.items()} == {
        item["principal"].removeprefix("User:"): item["authorization"] for item in rights
    }
    assert {user["spec"]["authentication"]["type"] for user in users.values()} == {"tls"}
    assert {
        user["spec"]["authentication"]["type"] for user in chart_of("trial").of_kind("KafkaUser").values()
    } == {"scram-sha-512"}


@pytest.mark.parametrize("values", ["trial", "plant"])
def test_each_service_uses_the_user_that_is_made_for_it(values: str) -> None:
    chart = chart_of(values)
    users = chart.of_kind("KafkaUser")
    used = {
        pod.component: volume["secret"]["secretName"]
        for pod in chart.pods()
        for volume in pod.spec["volumes"]
        if volume["name"] == "kafka"
    }
    assert set(used.values()) == set(users)
    assert all(name.endswith(f"-{component}") for component, name in used.items())


def test_a_user_is_called_as_the_rights_say_and_his_secret_as_kubernetes_can() -> None:
    line = json.dumps("{line: l, topics: {prefix: cells_1}, store: 's3://b/l', products: {part: {}}}")
    given = ("producers.groups=[]", f"line.file={line}", 'kafka.users.alerts.username="Alarm_1"')
    rights = line_rights(line_topics("cells_1", 8), LineNames("cells_1", {}, {"alerts": "User:Alarm_1"}))
    told = {item.service: item.principal.removeprefix("User:") for item in rights}
    for service in ("scorer", "trainer", "alerts"):
        (pod,) = chart_of("defaults", *given).workloads(service)
        assert pod.environment["KAFKA_SASL_USERNAME"] == told[service]
        (secret,) = (v["secret"]["secretName"] for v in pod.spec["volumes"] if v["name"] == "kafka")
        assert secret == told[service].lower().replace("_", "-")
    by_strimzi = chart_of("defaults", *given, "kafka.strimzi.enabled=true")
    (scorer,) = by_strimzi.workloads("scorer")
    assert scorer.environment["KAFKA_SASL_USERNAME"] == "cells-1-scorer"
    assert {"cells-1-scorer", "alarm-1"} <= by_strimzi.of_kind("KafkaUser").keys()


def test_the_cluster_of_a_plant_loses_nothing_with_a_broker() -> None:
    chart = chart_of("plant")
    (kafka,), (pool,) = chart.of_kind("Kafka").values(), chart.of_kind("KafkaNodePool").values()
    spec, config = kafka["spec"]["kafka"], kafka["spec"]["kafka"]["config"]
    assert spec["version"].startswith("4.2.")  # docs/decisions/0023
    assert pool["spec"]["replicas"] == 3
    assert (config["transaction.state.log.replication.factor"], config["transaction.state.log.min.isr"]) == (
        3,
        2,
    )
    assert (config["default.replication.factor"], config["min.insync.replicas"]) == (3, 2)
    assert config["unclean.leader.election.enable"] is False
    assert config["auto.create.topics.enable"] is False
    assert [listener["tls"] for listener in spec["listeners"]] == [True]
    assert spec["authorization"] == {"type": "simple"}
    (alone,) = chart_of("trial").of_kind("Kafka").values()
    assert alone["spec"]["kafka"]["config"]["transaction.state.log.min.isr"] == 1


def test_scorers_follow_the_lag_between_one_and_the_partitions() -> None:
    chart = chart_of("plant")
    (scaled,) = chart.of_kind("ScaledObject").values()
    (scorer,) = chart.workloads("scorer")
    assert "replicas" not in scorer.owner["spec"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == scorer.owner["metadata"]["name"]
    assert (
        1
        <= scaled["spec"]["minReplicaCount"]
        <= scaled["spec"]["maxReplicaCount"]
        <= TOPICS.frames.partitions
    )
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["topic"] == TOPICS.frames.name
    assert trigger["metadata"]["consumerGroup"] == LineNames("cells-1", {}, {}).group("scorer")
    assert trigger["metadata"]["bootstrapServers"] == scorer.environment["KAFKA_BOOTSTRAP_SERVERS"]
    (login,) = chart.of_kind("TriggerAuthentication").values()
    assert {row["parameter"] for row in login["spec"]["secretTargetRef"]} == {"cert", "key", "ca"}


SCALED = "scorer.autoscaling.enabled=true"


def test_keda_logs_in_with_tokens_as_the_scorers_do() -> None:
    tokens = 'kafka.oauth={"tokenUrl":"https://login.example/token","scope":"kafka"}'
    chart = chart_of("defaults", SCALED, 'kafka.saslMechanism="OAUTHBEARER"', tokens)
    (scaled,), (login,) = (chart.of_kind(kind).values() for kind in ("ScaledObject", "TriggerAuthentication"))
    (trigger,), (scorer,) = scaled["spec"]["triggers"], chart.workloads("scorer")
    asked = {name: trigger["metadata"][name] for name in ("sasl", "saslTokenProvider", "tls")}
    assert asked == {"sasl": "oauthbearer", "saslTokenProvider": "bearer", "tls": "enable"}
    given = {row["parameter"]: scorer.environment[row["name"]] for row in login["spec"]["env"]}
    assert given == {
        "username": "steadyline-scorer",
        "oauthTokenEndpointUri": "https://login.example/token",
        "scopes": "kafka",
    }
    (secret,) = login["spec"]["secretTargetRef"]
    assert secret == {"parameter": "password", "name": "steadyline-scorer", "key": "client-secret"}
    assert list(schema_problems([scaled, login])) == []


@pytest.mark.parametrize("more", [(), ('kafka.ca.secret="msk-ca"',)])
def test_keda_signs_for_msk_as_itself_or_as_the_scorers(more: tuple[str, ...]) -> None:
    way = ('kafka.saslMechanism="AWS_MSK_IAM"', 'kafka.awsRegion="eu-central-1"', *more)
    for owner, values in (("keda", ()), ("workload", ('scorer.autoscaling.awsIdentity="workload"',))):
        chart = chart_of("defaults", SCALED, *way, *values)
        (scaled,), (login,) = (
            chart.of_kind(kind).values() for kind in ("ScaledObject", "TriggerAuthentication")
        )
        (trigger,) = scaled["spec"]["triggers"]
        asked = {name: trigger["metadata"][name] for name in ("sasl", "saslTokenProvider", "awsRegion")}
        assert asked == {
            "sasl": "oauthbearer",
            "saslTokenProvider": "aws_msk_iam",
            "awsRegion": "eu-central-1",
        }
        assert login["spec"]["podIdentity"] == {"provider": "aws", "identityOwner": owner}
        secrets = [row["parameter"] for row in login["spec"].get("secretTargetRef", ())]
        assert secrets == (["ca"] if more else [])
        assert list(schema_problems([scaled, login])) == []


def test_topics_are_made_by_a_job_where_no_operator_makes_them() -> None:
    jobs = {values: set(chart_of(values).of_kind("Job")) for values in ("defaults", "plant")}
    assert jobs == {
        "defaults": {"rel-steadyline-topics", "rel-steadyline-migration"},
        "plant": {"rel-steadyline-migration"},
    }
    arguments = {
        pod.owner["metadata"]["name"]: pod.container["args"]
        for pod in chart_of("defaults").pods()
        if pod.owner["kind"] in ("Job", "Pod")
    }
    assert arguments == {
        "rel-steadyline-topics": ["topics", "create"],
        "rel-steadyline-migration": ["migrate"],
        "rel-steadyline-doctor": ["doctor"],
    }


@pytest.mark.parametrize("values", SETS)
def test_hooks_come_when_their_servers_are_there_and_leave_nothing(values: str) -> None:
    hooks = [
        found["metadata"]["annotations"]
        for found in chart_of(values).objects
        if "helm.sh/hook" in found["metadata"].get("annotations", {})
    ]
    assert {hook["helm.sh/hook-delete-policy"] for hook in hooks} == {"before-hook-creation,hook-succeeded"}
    job = chart_of(values).of_kind("Job")["rel-steadyline-migration"]
    first = "post-install" if values == "trial" else "pre-install"
    assert job["metadata"]["annotations"]["helm.sh/hook"] == f"{first},pre-upgrade"
