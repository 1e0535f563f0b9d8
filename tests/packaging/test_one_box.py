"""The compose file and the units of systemd: what they name exists, and their settings are taken."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import alerts.cli
import producers.cli
import scorer.cli
import steadyline.cli.app as commands
import trainer.cli
from alerts.config import AlertsSettings
from producers.config import ProducersSettings
from scorer.config import ScorerSettings
from steadyline.settings import (
    KafkaSettings,
    RedisSettings,
    Settings,
    SigningSettings,
    TelemetrySettings,
    TritonSettings,
)
from tests.packaging.rules import ROOT
from tests.support.one_box import (
    COMPOSE,
    UNITS,
    BoxedService,
    compose_file,
    compose_services,
    unit_rows,
    unit_services,
)
from tools.images.digests import read_digests
from trainer.config import TrainerSettings

READ: dict[str, tuple[type[Settings], ...]] = {
    "producers": (ProducersSettings, KafkaSettings, TelemetrySettings),
    "scorer": (ScorerSettings, KafkaSettings, TritonSettings, SigningSettings, TelemetrySettings),
    "trainer": (
        *(TrainerSettings, KafkaSettings, RedisSettings),
        *(TritonSettings, SigningSettings, TelemetrySettings),
    ),
    "alerts": (AlertsSettings, KafkaSettings, RedisSettings, SigningSettings, TelemetrySettings),
    "steadyline": (KafkaSettings, RedisSettings, TritonSettings, SigningSettings),
}
PROGRAMS = {
    "producers": producers.cli.app,
    "scorer": scorer.cli.app,
    "trainer": trainer.cli.app,
    "alerts": alerts.cli.app,
}
NOT_SETTINGS = {"STEADYLINE_LINE", "PYTHONSAFEPATH", "PYTHONUNBUFFERED", "MPLCONFIGDIR"}
# How long each needs at a stop: its own setting, or what the chart gives it.
STOPS = {
    "producers": ProducersSettings.model_fields["stop_seconds"].default,
    "scorer": ScorerSettings.model_fields["stop_seconds"].default,
    "alerts": AlertsSettings.model_fields["stop_seconds"].default,
    "trainer": 30,
}
SPARE_SECONDS = 10
OF_A_SERVICE = {
    *("image", "command", "entrypoint", "user", "restart", "read_only", "network_mode", "networks"),
    *("cap_drop", "cap_add", "security_opt", "tmpfs", "logging", "environment", "secrets", "volumes"),
    *("ports", "shm_size", "stop_grace_period", "healthcheck", "depends_on", "deploy", "profiles"),
}
SERVICES = [*compose_services(), *unit_services()]
by_name = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def variables_of(package: str) -> set[str]:
    """Return the variables that a service reads."""
    return {
        f"{settings.model_config.get('env_prefix', '')}{field}".upper()
        for settings in READ[package]
        for field in settings.model_fields
    } | NOT_SETTINGS


@by_name
def test_every_variable_is_one_that_the_service_reads(service: BoxedService) -> None:
    given = {name.removesuffix("_FILE") for name in service.environment}
    unread = given - variables_of(service.package)
    if service.package == "steadyline" or service.name.startswith("steadyline-"):
        unread -= {"TRITON_URL", "KAFKA_BOOTSTRAP_SERVERS"}  # line.env is everybody's
    assert not unread


def program_of(package: str, verb: str) -> Any:
    """Return the program of a service; of the commands, one that has ``verb`` alone."""
    if package != "steadyline":
        return typer.main.get_command(PROGRAMS[package])
    assert verb.startswith("-") or verb in commands.VERBS, f"there is no command {verb}"
    return typer.main.get_command(commands.program_for([verb]))


@by_name
def test_every_command_and_option_exists(service: BoxedService, monkeypatch: pytest.MonkeyPatch) -> None:
    words = list(service.command)
    if words == ["--help"]:
        return
    if line := service.environment.get("STEADYLINE_LINE"):
        monkeypatch.setenv("STEADYLINE_LINE", line)
    command = program_of(service.package, words[0])
    context = command.context_class(command, info_name=service.package)
    while hasattr(command, "get_command"):  # typer carries its own click, whose types are private
        found = command.get_command(context, words[0])
        assert found is not None, f"{service.name}: {service.package} has no command {words[0]}"
        command, words = found, words[1:]
        context = command.context_class(command, parent=context, info_name=command.name)
    command.parse_args(context, words)
    assert not context.args


@by_name
def test_it_is_given_longer_to_stop_than_it_takes(service: BoxedService) -> None:
    if service.package in STOPS:
        assert service.stop_seconds >= STOPS[service.package] + SPARE_SECONDS


@pytest.mark.parametrize(
    "service", [one for one in SERVICES if "run" in one.command], ids=lambda service: service.name
)
def test_a_local_process_takes_the_same_settings(service: BoxedService, tmp_path: Path) -> None:
    """Secrets come from files here too; what is wrong in a variable ends ``config`` with status 2."""
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    for name, value in service.environment.items():
        if not name.endswith("_FILE"):
            environment[name] = value.replace("%i", "1")
            continue
        secret = tmp_path / Path(value).name
        public = "a-public-key" if "TRUSTED" in name else "a-secret-word"
        host = "redis" if "REDIS_ALLOW_CLEAR_PASSWORD" in service.environment else "127.0.0.1"
        secret.write_text(f"redis://user:word@{host}:6379/0" if "REDIS" in name else public)
        environment[name] = str(secret)
    command = [sys.executable, "-m", service.package, "config"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a-secret-word" not in done.stdout
    assert "word@" not in done.stdout


def test_the_compose_file_says_only_what_is_known_and_names_only_what_is_there() -> None:
    file = compose_file()
    assert {name for name in file if not name.startswith("x-")} == {"name", "services", "secrets", "volumes"}
    for name, service in file["services"].items():
        assert set(service) <= OF_A_SERVICE, name
        assert set(service.get("secrets", ())) <= set(file["secrets"]), name
        named = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert {one for one in named if not one.startswith("$")} <= set(file["volumes"]), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to other machines"


def test_a_service_starts_after_what_it_needs_in_each_profile() -> None:
    services = compose_file()["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how.get("required", True):
                assert set(service["profiles"]) <= set(services[needed]["profiles"]), f"{name}: {needed}"
            if how["condition"] == "service_healthy" and needed in ("kafka", "redis"):
                assert services[needed]["healthcheck"]["test"], needed


def test_no_service_of_ours_holds_a_right_or_writes_beside_its_volumes() -> None:
    services = compose_file()["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "kafka", name
    assert services["folders"]["cap_add"] == ["CHOWN"]
    assert [name for name, service in services.items() if service.get("user") == "0:0"] == ["folders"]


def test_every_image_is_named_by_a_digest_of_one_of_the_two_files() -> None:
    rows = (ROOT / "deploy" / "compose.env").read_text(encoding="utf-8").splitlines()
    own = dict(row.split("=", 1) for row in rows if row and not row.startswith("#"))
    known = read_digests() | own
    for image in known.values():
        assert re.fullmatch(r"[a-z0-9./:_-]+@sha256:[0-9a-f]{64}", image)
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8")))
    assert asked <= {*known, "LINE_SITE", "LINE_BACKUP"}
    assert set(own) <= asked
    for name, service in compose_file()["services"].items():
        assert service["image"].startswith("${IMAGE_"), name


def test_every_secret_of_a_unit_is_a_credential_and_no_value() -> None:
    for path in UNITS.glob("*.service"):
        rows = unit_rows(path)
        loaded = {value.split(":")[0] for name, value in rows if name == "LoadCredential"}
        named = {value.split("=%d/")[1] for name, value in rows if name == "Environment" and "=%d/" in value}
        assert loaded == named, path.name
        assert not [value for _, value in rows if "_FILE=" in value and "=%d/" not in value], path.name


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing: the Debian package systemd brings it")
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        text = path.read_text(encoding="utf-8").replace("/opt/steadyline/bin/python", sys.executable)
        (tmp_path / path.name.replace("@", "@1")).write_text(text, encoding="utf-8")
    command = [program, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # What it says of units of the machine itself is not about ours.
    told = [row for row in done.stderr.splitlines() if "steadyline" in row]
    assert (done.returncode, told) == (0, []), done.stderr


def test_the_units_are_locked() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing: the Debian package systemd brings it")
    for path in UNITS.glob("*.service"):
        command = [program, "security", "--offline=true", "--json=short", "--threshold=25", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path.name}: {done.stdout[-300:]}{done.stderr}"
        assert json.loads(done.stdout)
