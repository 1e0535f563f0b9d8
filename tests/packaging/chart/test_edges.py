"""What the chart hands to the services: known variables, secrets as mounted files, settings that are read."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import SecretStr

from steadyline.line import load_line
from steadyline.settings import KafkaSettings, RedisSettings, Settings, TelemetrySettings, variable_names
from steadyline.signing import PRIVATE, write_pair
from tests.support.chart import SECRETS, SETS, ChartPod, chart_of
from tools.chart.files import CHART
from tools.docs.code_search import readers_of
from tools.docs.configuration import all_settings
from tools.setup.command import ROOT

# Read by libraries and by images of others, not by settings of ours.
STANDARD = {
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"),
    *(f"OTEL_EXPORTER_OTLP_{name}" for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")),
}
OF_OTHERS = {
    "redis": set(),
    "postgresql": {f"POSTGRES_{name}" for name in ("USER", "DB", "PASSWORD_FILE")} | {"PGDATA"},
}
# Ways to Kafka that no values file takes.
WAYS: dict[str, tuple[str, ...]] = {
    "plain": ('kafka.securityProtocol="SASL_PLAINTEXT"', 'kafka.saslMechanism="PLAIN"'),
    "open": ('kafka.securityProtocol="PLAINTEXT"',),
    "tokens": (
        'kafka.saslMechanism="OAUTHBEARER"',
        'kafka.oauth={"tokenUrl":"https://login.example/token","scope":"kafka","ca":{"secret":"login-ca","key":"ca.crt"}}',
    ),
    "msk": ('kafka.saslMechanism="AWS_MSK_IAM"', 'kafka.awsRegion="eu-central-1"'),
    "certificates": (
        'kafka.securityProtocol="SSL"',
        'kafka.ca.secret="kafka-ca"',
        'kafka.keys.keyPassword="pass"',
    ),
}
ALL = [(name, ()) for name in SETS] + [("defaults", way) for way in WAYS.values()]


@cache
def known_variables() -> set[str]:
    """Return every variable that something of ours reads, and those of libraries."""
    ours = {*variable_names(all_settings()), "STEADYLINE_LINE"}
    return ours | {f"{name}_FILE" for name in ours} | STANDARD


@cache
def secret_names() -> set[str]:
    """Return the variables that hold secrets."""
    found = set()
    for cls in all_settings():
        for name, field in cls.model_fields.items():
            if SecretStr in (field.annotation, *get_args(field.annotation)):
                found.add(f"{cls.model_config.get('env_prefix', '')}{name}".upper())
    # An address without a user, which is no secret; the chart's schema takes no "@" in it.
    return found - {"OTEL_EXPORTER_OTLP_ENDPOINT"}


@pytest.mark.parametrize(("values", "more"), ALL)
def test_every_variable_is_one_that_is_read_and_given_once(values: str, more: tuple[str, ...]) -> None:
    for pod in chart_of(values, *more).pods():
        names = [one["name"] for one in pod.container.get("env", ())]
        assert len(names) == len(set(names)), pod.name
        assert set(names) - known_variables() - OF_OTHERS.get(pod.component, set()) == set(), pod.name


@pytest.mark.parametrize(("values", "more"), ALL)
def test_a_secret_is_a_file_that_is_mounted_and_never_a_value(values: str, more: tuple[str, ...]) -> None:
    secrets = secret_names()
    for pod in chart_of(values, *more).pods():
        there = set(pod.files())
        for name, value in pod.environment.items():
            assert name not in secrets, f"{pod.name} has {name} as a value"
            if value.startswith(SECRETS) and not value.startswith("/run/secrets/plant"):
                assert value in there, f"{pod.name}: {name} names {value}, which is not mounted"
        assert not {one["name"] for one in pod.container.get("env", ()) if "secretKeyRef" in str(one)}
        mounted = {path for path in there if path.startswith(SECRETS)}
        named = {*pod.environment.values(), *map(str, pod.container.get("args", ()))}
        unused = {path for path in mounted if path not in named}
        assert unused <= {"/run/secrets/steadyline/database-ca/ca.crt"}, (
            f"{pod.name} holds what it does not read"
        )


def test_the_chart_has_no_secret_and_no_value_for_one() -> None:
    for name in SETS:
        assert chart_of(name).of_kind("Secret") == {}
    schema = json.loads((ROOT / CHART / "values.schema.json").read_text(encoding="utf-8"))
    rules = schema["definitions"]["settings"]["propertyNames"]["allOf"]
    pattern, refused = re.compile(rules[0]["pattern"]), set(rules[2]["not"]["enum"])
    assert {name for name in secret_names() if pattern.search(name)} <= refused


SERVICE_SETTINGS = {
    service: [cls for cls in all_settings() if service in readers_of(cls.__name__)]
    for service in ("producers", "scorer", "trainer", "alerts")
}


def contents(path: str) -> str:
    """Return what a file of a secret might hold."""
    return {
        "url": "rediss://steadyline:word@redis.example:6379/0",
        "username": "camera",
    }.get(path.rsplit("/", 1)[-1], "a-secret-word")


def take_over(pod: ChartPod, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process's environment that of a pod, with its files in a folder."""
    for path in pod.files():
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        is_database = path.endswith("/database/url")
        target.write_text(
            "postgresql+psycopg://steadyline:word@db.example/line?sslmode=verify-full"
            if is_database
            else contents(path)
        )
    for name, value in pod.environment.items():
        is_file = value.startswith(("/run/", "/etc/"))
        monkeypatch.setenv(name, f"{folder}{value}" if is_file else value.replace("metadata.name", "pod-1"))


@pytest.mark.parametrize("service", SERVICE_SETTINGS)
def test_a_service_reads_what_its_pod_is_given(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pod,) = chart_of("defaults").workloads(service)
    take_over(pod, tmp_path, monkeypatch)
    read: dict[str, Any] = {}
    for cls in SERVICE_SETTINGS[service]:
        settings: Settings = cls()
        read[cls.__name__] = settings
    telemetry, kafka = read["TelemetrySettings"], read["KafkaSettings"]
    assert isinstance(telemetry, TelemetrySettings)
    assert (telemetry.steadyline_health_host, telemetry.steadyline_health_port) == ("0.0.0.0", 8080)
    assert isinstance(kafka, KafkaSettings)
    assert kafka.sasl_username == f"steadyline-{service}"
    assert kafka.sasl_password is not None
    assert kafka.sasl_password.get_secret_value() == "a-secret-word"
    if "RedisSettings" in read:
        assert isinstance(read["RedisSettings"], RedisSettings)
        assert "redis.example" in read["RedisSettings"].url.get_secret_value()


@pytest.mark.parametrize("values", SETS)
def test_the_line_of_every_values_file_is_one_that_the_services_take(values: str, tmp_path: Path) -> None:
    (text,) = (
        found["data"]["line.yaml"]
        for name, found in chart_of(values).of_kind("ConfigMap").items()
        if name == "rel-steadyline-line"
    )
    path = tmp_path / "line.yaml"
    path.write_text(text)
    line = load_line(path)
    assert line.line == yaml.safe_load(text)["line"]


def test_every_account_has_the_annotations_of_all_those_of_jobs_and_tests_too() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/line"}
    chart = chart_of("defaults", f"serviceAccounts.annotations={json.dumps(role)}", "toolbox.enabled=true")
    accounts = chart.of_kind("ServiceAccount")
    assert {pod.spec["serviceAccountName"] for pod in chart.pods()} == accounts.keys()
    for name, account in accounts.items():
        assert account["metadata"].get("annotations", {}).items() >= role.items(), name


def test_who_only_reads_the_bank_has_the_user_that_only_reads() -> None:
    secrets = {
        pod.component: (volume["secret"]["secretName"], volume["secret"]["items"][0]["key"])
        for pod in chart_of("plant").pods()
        for volume in pod.spec["volumes"]
        if volume["name"] == "redis"
    }
    reader, writer = ("cells-1-redis", "reader-url"), ("cells-1-redis", "url")
    assert secrets == {"trainer": writer, "alerts": reader, "steadyline": reader}


def test_the_keys_of_the_secrets_of_signing_are_the_files_that_keys_new_writes(tmp_path: Path) -> None:
    write_pair(tmp_path)
    values = yaml.safe_load((ROOT / CHART / "values.yaml").read_text(encoding="utf-8"))["signing"]
    assert {secret["key"] for secret in values.values()} == {path.name for path in tmp_path.iterdir()}
    assert values["signingKeySecret"]["key"] == PRIVATE


def test_every_worker_has_a_name_that_outlives_its_container() -> None:
    chart = chart_of("defaults")
    for service in ("scorer", "alerts"):
        (pod,) = chart.workloads(service)
        assert pod.environment[f"{service.upper()}_INSTANCE"] == "metadata.name"


def test_what_must_outlive_a_pod_lies_on_a_volume_that_does() -> None:
    chart = chart_of("plant")
    for pod in chart.workloads("producers"):
        assert pod.owner["kind"] == "StatefulSet"
        state = [mount for mount in pod.container["volumeMounts"] if mount["name"] == "state"]
        assert [mount["mountPath"] for mount in state] == [pod.environment["PRODUCERS_STATE"]]
        assert [claim["metadata"]["name"] for claim in pod.owner["spec"]["volumeClaimTemplates"]] == ["state"]
    (trainer,) = chart.workloads("trainer")
    claims = {
        v["name"]: v["persistentVolumeClaim"]["claimName"]
        for v in trainer.spec["volumes"]
        if "persistentVolumeClaim" in v
    }
    mounts = {mount["mountPath"]: claims.get(mount["name"]) for mount in trainer.container["volumeMounts"]}
    assert mounts[trainer.environment["TRAINER_WORK"]] == "rel-steadyline-trainer-work"
    (triton,) = chart.workloads("triton")
    (models,) = (v for v in triton.spec["volumes"] if v["name"] == "models")
    assert models["persistentVolumeClaim"] == {
        "claimName": mounts[trainer.environment["TRITON_REPOSITORY"]],
        "readOnly": True,
    }


def test_triton_reads_the_store_as_a_user_of_its_own_where_one_is_named() -> None:
    def credentials(component: str, *more: str) -> tuple[str, str]:
        (pod,) = chart_of("plant", *more).workloads(component)
        (held,) = (volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "s3")
        return held["secretName"], held["items"][0]["key"]

    assert credentials("triton") == ("cells-1-s3", "reader-credentials")
    assert credentials("trainer") == credentials("scorer") == ("cells-1-s3", "credentials")
    assert credentials("triton", 'triton.storeSecret.name=""') == ("cells-1-s3", "credentials")


def test_data_outlives_the_release_unless_it_is_a_trial() -> None:
    kinds = ("PersistentVolumeClaim", "KafkaTopic", "Kafka", "KafkaNodePool")
    kept = [found for kind in kinds for found in chart_of("plant").of_kind(kind).values()]
    assert len(kept) == 12
    assert {found["metadata"]["annotations"]["helm.sh/resource-policy"] for found in kept} == {"keep"}
    trial = [found for kind in kinds for found in chart_of("trial").of_kind(kind).values()]
    assert not any("annotations" in found["metadata"] for found in trial)
