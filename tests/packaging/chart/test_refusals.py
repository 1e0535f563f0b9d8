"""What cannot work is refused with the way to do it, by the schema or by the chart."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart import SETS, require_helm
from tools.chart.files import CHART
from tools.chart.helm import HelmRefused, lint, render
from tools.chart.schemas import schema_problems, schemas_are_there
from tools.setup.command import ROOT

ONE, TWO = (f"id: {name}, product: part, source: 'synthetic:'" for name in ("a", "b"))
CAMERAS = f"cameras: [{{{ONE}}}, {{{TWO}, when_behind: spool}}]"
LINE = f"{{line: l, topics: {{partitions: 4}}, store: 's3://b/l', products: {{part: {{}}}}, {CAMERAS}}}"
WITH_LINE = f"line.file={json.dumps(LINE)}"


def with_prefix(prefix: str) -> str:
    """Return a line file with a prefix of topics."""
    return LINE.replace("partitions: 4", f"partitions: 4, prefix: {json.dumps(prefix)}")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["scorer.replicas=9"], "9 scorers, and frames have 8 partitions"),
        (['scorer.autoscaling={"enabled":true,"maxReplicas":9}'], "9 scorers, and frames have 8 partitions"),
        (
            ['scorer.autoscaling={"enabled":true,"minReplicas":0}'],
            "minReplicas: Must be greater than or equal to 1",
        ),
        (['scorer.autoscaling={"minReplicas":5,"maxReplicas":4}'], "minReplicas 5 is above maxReplicas 4"),
        (["alerts.replicas=9"], "scores have 8 partitions"),
        (["triton.replicas=2"], "triton.swapsNeedRestart"),
        (["trainer.jobs.enabled=true", "trainer.gpu.enabled=true"], "the trainer itself would hold a GPU"),
        (["trainer.jobs.pods=2"], "trainer.jobs.enabled is false"),
        (["trainer.jobs.gpu.enabled=true"], "trainer.jobs.enabled is false"),
        (['trainer.settings={"TRAINER_LAUNCHER":"process"}'], "trainer.settings"),
        (['trainer.work.accessModes=["ReadWriteOncePod"]'], "trainer.work.accessModes"),
        (["scorer.replica=3"], "Additional property replica is not allowed"),
        (['images.scorer.digest="latest"'], "images.scorer.digest: Does not match pattern"),
        (['images.scorer.tag="1.0"'], "Additional property tag is not allowed"),
        (['scorer.settings={"SCORER_INSTANCE":"a"}'], "scorer.settings"),
        (['alerts.settings={"ALERTS_DATABASE":"sqlite:///x"}'], "alerts.settings"),
        (['alerts.settings={"ALERTS_MAIL_PASSWORD_FILE":"/x"}'], "alerts.settings"),
        (['kafka.strimzi.version="4.3.0"'], "kafka.strimzi.version: Does not match pattern"),
        (['kafka.bootstrapServers=""'], "kafka.bootstrapServers is empty"),
        (['kafka.saslMechanism="OAUTHBEARER"'], "kafka.oauth.tokenUrl is empty"),
        (['kafka.saslMechanism="AWS_MSK_IAM"'], "kafka.awsRegion is empty"),
        (
            ['kafka.bootstrapServers="one:9093,two:9094"'],
            "names two:9094, and networkPolicy.kafka.ports opens 9093 only",
        ),
        (
            ["kafka.strimzi.enabled=true", 'kafka.saslMechanism="PLAIN"'],
            "its users log in by SCRAM-SHA-512 or by a certificate, not by PLAIN",
        ),
        (
            ["kafka.strimzi.enabled=true", 'kafka.securityProtocol="PLAINTEXT"'],
            "its users log in by SCRAM-SHA-512 or by a certificate, not by PLAINTEXT",
        ),
        (
            [
                'kafka.strimzi={"enabled":true,"createCluster":true}',
                'kafka.securityProtocol="SASL_PLAINTEXT"',
            ],
            "the listener of kafka.strimzi.createCluster is encrypted",
        ),
        (
            ['kafka.users.scorer.username="CN=scorer,O=plant"'],
            'no secret can be called "cn=scorer,o=plant"; name the one that there is by kafka.users.scorer',
        ),
        (
            ["kafka.strimzi.enabled=true", 'kafka.users.scorer={"username":"{a: b}","secret":"own"}'],
            "kafka.users.scorer.username",
        ),
        (
            ["kafka.strimzi.enabled=true", 'kafka.users.scorer={"username":"a=b","secret":"own"}'],
            'no KafkaUser can be called "a=b"',
        ),
        (['monitoring.rules.runbookBase="docs.example/"'], "monitoring.rules.runbookBase"),
        (['monitoring.rules.runbookBase="https://docs.example/ #"'], "monitoring.rules.runbookBase"),
        (["triton.enabled=false"], "triton.url is empty"),
        (['triton.server.secret=""'], "triton.server.secret is empty"),
        (['triton.securityProtocol="PLAINTEXT"'], "the admin key would cross the network in clear"),
        (["alerts.certManager.enabled=true"], "enable alerts.ingress too"),
        (['alerts.route={"enabled":true,"gateway":{"sectionName":""}}'], "sectionName"),
        (['line.file="a: [b"'], "line.file is no YAML"),
        (["line.file=" + json.dumps(with_prefix("'*' #"))], "a name has a-z, 0-9"),
        (["line.file=" + json.dumps(with_prefix("a.scorer"))], "take over its transactional ids"),
        (['kafka.strimzi.metadataVersion="4.2-IV1\\n  x: y"'], "metadataVersion: Does not match pattern"),
        (['line.file="cameras: []"'], "line.file holds no line"),
        (
            [f"line.file={json.dumps(LINE.replace('s3://b/l', 'file:///srv/store'))}"],
            "is in no volume: write store: s3://",
        ),
        ([WITH_LINE, "producers.state.persistent=false"], "the camera b has when_behind: spool"),
        ([WITH_LINE, 'producers.groups=[{"name":"one","cameras":["a"]}]'], "the camera b is in no group"),
        (
            [
                WITH_LINE,
                'producers.groups=[{"name":"one","cameras":["a","b"]},{"name":"two","cameras":["b"]}]',
            ],
            "the camera b is in the groups one and two",
        ),
        (
            [WITH_LINE, 'producers.groups=[{"name":"one","cameras":["a","c"]}]'],
            "which is not in the line file",
        ),
        (
            ["kafka.strimzi.enabled=true", 'scorer.settings={"SCORER_GROUP":"mine"}'],
            "the KafkaUser of scorer has rights to its usual group only",
        ),
        (
            [
                "scorer.autoscaling.enabled=true",
                'kafka.securityProtocol="SASL_PLAINTEXT"',
                'kafka.saslMechanism="AWS_MSK_IAM"',
                'kafka.awsRegion="eu-1"',
            ],
            "KEDA signs for AWS_MSK_IAM over TLS only",
        ),
    ],
)
def test_what_cannot_work_is_refused_and_told(values: list[str], told: str) -> None:
    require_helm()
    with pytest.raises(HelmRefused) as refusal:
        render(values)
    assert told in str(refusal.value)


def in_a_cluster(folder: Path, partitions: int, *values: Path | str) -> list[dict[str, Any]]:
    """Render the plant where its topic has so many partitions; helm would ask a cluster for that."""
    require_helm()
    shutil.copytree(ROOT / CHART, folder / "chart")
    checks = folder / "chart/templates/checks.yaml"
    live = f'dict "spec" (dict "partitions" {partitions}) }}}}'
    text, count = re.subn(r"lookup .*?\}\}", live, checks.read_text())
    assert count == 1
    checks.write_text(text)
    return render([ROOT / CHART / "values-plant.yaml", *values], folder / "chart")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (8, "upgrade with --set kafka.strimzi.acceptPartitions=12"),
        (16, "topics.partitions is 12 and cells-1.frames.v1 has 16: Kafka takes none away"),
    ],
)
def test_other_partitions_than_the_topic_has_are_refused_with_the_way_to_do_it(
    there: int, told: str, tmp_path: Path
) -> None:
    with pytest.raises(HelmRefused) as refusal:
        in_a_cluster(tmp_path, there)
    assert told in str(refusal.value)


@pytest.mark.parametrize(("there", "accepted"), [(8, 12), (12, 0), (12, 12)])
def test_partitions_that_are_there_or_accepted_are_taken(there: int, accepted: int, tmp_path: Path) -> None:
    made = in_a_cluster(tmp_path, there, f"kafka.strimzi.acceptPartitions={accepted}")
    assert {"KafkaTopic", "ScaledObject"} <= {found["kind"] for found in made}


def test_ports_of_brokers_are_nobodys_matter_where_no_policy_is() -> None:
    require_helm()
    assert render(['kafka.bootstrapServers="one:9093,two:9094"', "networkPolicy.enabled=false"])
    assert render(['kafka.bootstrapServers="one:9093,two:9094"', "networkPolicy.kafka.ports=[9093,9094]"])


def test_a_group_of_producers_may_be_elsewhere_and_the_rest_of_the_line_here() -> None:
    require_helm()
    kinds = {found["kind"] for found in render([WITH_LINE, "producers.groups=[]"])}
    assert "StatefulSet" not in kinds


def test_helm_lints_every_set_of_values_without_a_warning() -> None:
    require_helm()
    for values in SETS.values():
        lint(values)


def test_the_schemas_find_what_is_misspelt() -> None:
    if not schemas_are_there():
        pytest.skip("deploy/verify/schemas is not there")
    good = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    assert list(schema_problems([good])) == []
    (problem,) = schema_problems([{**good, "spec": {"podSelectr": {}, "podSelector": {}}}])
    assert "NetworkPolicy deny" in problem
    assert "podSelectr" in problem
    (unknown,) = schema_problems([{**good, "apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaTopic"}])
    assert "there is no schema" in unknown


@pytest.mark.parametrize("end", ["\r", "\u2028", "\u2029"])
def test_no_end_of_a_line_within_the_line_file_makes_an_object_of_it(end: str) -> None:
    """YAML ends lines at more marks than a block that is set in by its line feeds."""
    require_helm()
    inside = end.join(["# c", "---", "kind: ClusterRoleBinding", "metadata: {name: x}"])
    plain = render([*SETS["defaults"], f"line.file={json.dumps(LINE)}", "producers.groups=[]"])
    bad = render(
        [*SETS["defaults"], f"line.file={json.dumps(LINE + chr(10) + inside)}", "producers.groups=[]"]
    )
    kinds = [[(found["kind"], found["metadata"]["name"]) for found in made] for made in (plain, bad)]
    assert kinds[0] == kinds[1]
    maps = [found["data"] for found in bad if found["kind"] == "ConfigMap"]
    kept = [data["line.yaml"] for data in maps if "line.yaml" in data]
    assert kept
    assert set(kept) == {LINE + chr(10) + inside}
