"""A wrong credential on each edge: told within six seconds, with the edge's name and what to do."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from alerts.cli import main as alerts
from steadyline.cli import main as steadyline
from steadyline.service import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.support.certificates import CertificateAuthority
from tests.support.locked_servers import LockedRedis, LockedTriton, a_folder, running, user_of_redis
from tests.support.postgres import LockedPostgres, require_postgres
from tests.support.s3_gateway import BUCKET, S3Gateway, fsspec_forgets
from tests.support.servers import require

pytestmark = pytest.mark.servers

WITHIN = 6.0  # seconds, as docs/edges.md promises
WRONG = "hunter2secret"
LINE = "line: test\ntopics: {{prefix: {prefix}, partitions: 1}}\nstore: {store}\nproducts:\n  tile: {{}}\n"


@dataclass(frozen=True)
class Plant:
    """Locked servers, whom everybody believes, and whom nobody should."""

    kafka: str
    redis: LockedRedis
    triton: LockedTriton
    postgres: LockedPostgres
    authority: CertificateAuthority
    stranger: CertificateAuthority

    def environment(self) -> dict[str, str]:
        """Return the variables with which all is well."""
        files = {"sslmode": "verify-full", "sslrootcert": self.authority.ca}
        return {
            **self.redis.environment("trainer", "right"),
            **self.triton.environment(),
            "ALERTS_DATABASE": self.postgres.url("plant", LockedPostgres.PASSWORD, **files),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,  # its credentials have tests of their own
        }


@pytest.fixture(scope="module")
def plant(kafka: str) -> Iterator[Plant]:
    require(("redis", "triton"))
    require_postgres()
    with a_folder() as folder:
        folder.chmod(0o755)
        (folder / "postgres").mkdir()
        authority = CertificateAuthority(folder / "certificates")
        users = [user_of_redis("trainer", "right", "test"), "user nobody on >right resetkeys -@all"]
        made = Plant(
            kafka,
            LockedRedis(folder / "redis", authority, users),
            LockedTriton(folder / "triton", authority),
            LockedPostgres(folder / "postgres", authority),
            authority,
            CertificateAuthority(folder / "certificates", "stranger"),
        )
        with running(made.redis), running(made.triton):
            made.postgres.start()
            made.postgres.make_users()
            yield made
            made.postgres.stop()


@pytest.fixture(autouse=True)
def in_a_folder(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with a line file, in an environment with which all is well."""
    monkeypatch.chdir(tmp_path)
    write_line("file://./store")
    for name, value in plant.environment().items():
        monkeypatch.setenv(name, value)


def write_line(store: str) -> None:
    """Write a line file of a line that nobody has."""
    Path("line.yaml").write_text(LINE.format(prefix=f"t{uuid.uuid4().hex[:8]}", store=store))


def findings(capsys: pytest.CaptureFixture[str], status: int = EXIT_FAILED) -> tuple[dict[str, str], float]:
    """Run ``steadyline doctor``; return check → what it found and what to do, and the seconds it took."""
    began = time.monotonic()
    assert steadyline(["doctor", "--json"]) == status
    took = time.monotonic() - began
    printed = capsys.readouterr()
    assert WRONG not in printed.out + printed.err
    rows = json.loads(printed.out)["findings"]
    return {row["check"]: f"{row['state']}: {row['found']}: {row['remedy']}" for row in rows}, took


def test_with_the_right_ones_the_doctor_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert steadyline(["topics", "create", "--line", "line.yaml"]) == EXIT_OK
    capsys.readouterr()
    found, _ = findings(capsys, EXIT_OK)
    assert {"Redis", "Triton", "store"} <= {check for check, text in found.items() if text.startswith("ok")}


DOCTOR = {
    "Redis, a wrong password": (
        "Redis",
        {"REDIS_URL": "rediss://trainer:hunter2secret@127.0.0.1:{redis}/0"},
        "REDIS_URL",
    ),
    "Redis, an unknown user": (
        "Redis",
        {"REDIS_URL": "rediss://someone:hunter2secret@127.0.0.1:{redis}/0"},
        "REDIS_URL",
    ),
    "Redis, a user without rights": (
        "Redis",
        {"REDIS_URL": "rediss://nobody:right@127.0.0.1:{redis}/0"},
        "the rights that `steadyline bank acl` prints",
    ),
    "Redis, another authority": (
        "Redis",
        {"REDIS_SSL_CA_LOCATION": "{stranger}"},
        "REDIS_SSL_CA_LOCATION must name",
    ),
    "Triton, another authority": (
        "Triton",
        {"TRITON_SSL_CA_LOCATION": "{stranger}"},
        "TRITON_SSL_CA_LOCATION must name",
    ),
    "Triton, a wrong key": (
        "Triton's repository",
        {"TRITON_ADMIN_KEY": WRONG},
        "TRITON_ADMIN_KEY is not the key",
    ),
}


@pytest.mark.parametrize("case", sorted(DOCTOR))
def test_the_doctor_names_the_edge_and_what_to_do(
    plant: Plant, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check, change, told = DOCTOR[case]
    set_all(monkeypatch, plant, change)
    found, took = findings(capsys)
    assert found[check].startswith("failed")
    assert told in found[check]
    assert took < WITHIN


def set_all(monkeypatch: pytest.MonkeyPatch, plant: Plant, change: Mapping[str, str]) -> None:
    """Set variables, in which the plant's ports and files are named."""
    for name, value in change.items():
        monkeypatch.setenv(name, value.format(redis=plant.redis.port, stranger=plant.stranger.ca))


@pytest.mark.parametrize(
    ("password", "authority", "told"),
    [
        (WRONG, "authority", "write the user and the password that PostgreSQL knows into ALERTS_DATABASE"),
        (LockedPostgres.PASSWORD, "stranger", "sslrootcert in ALERTS_DATABASE must name the authority"),
    ],
    ids=["a wrong password", "another authority"],
)
def test_the_alerts_name_the_database_and_what_to_do(
    plant: Plant,
    password: str,
    authority: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {"sslmode": "verify-full", "sslrootcert": getattr(plant, authority).ca}
    monkeypatch.setenv("ALERTS_DATABASE", plant.postgres.url("plant", password, **files))
    began = time.monotonic()
    assert alerts(["migrate"]) == EXIT_UNAVAILABLE
    assert time.monotonic() - began < WITHIN
    printed = capsys.readouterr()
    assert told in printed.err
    assert WRONG not in printed.out + printed.err


HALF = {
    "Triton's key in clear": (
        {"TRITON_SECURITY_PROTOCOL": "PLAINTEXT", "TRITON_URL": "triton.plant:8001"},
        "TRITON_ADMIN_KEY would go over the network in clear",
    ),
    "a certificate of Triton without its key": (
        {"TRITON_SSL_KEY_LOCATION": ""},
        "TRITON_SSL_CERTIFICATE_LOCATION and TRITON_SSL_KEY_LOCATION are set together",
    ),
    "certificates of Redis in clear": (
        {"REDIS_URL": "redis://127.0.0.1:{redis}/0"},
        "REDIS_SSL_CA_LOCATION is set, but REDIS_URL does not begin with rediss://",
    ),
    "a certificate of Redis without its key": (
        {"REDIS_SSL_KEY_LOCATION": ""},
        "REDIS_SSL_CERTIFICATE_LOCATION and REDIS_SSL_KEY_LOCATION are set together",
    ),
    "Redis' certificate not looked at": (
        {"REDIS_URL": "rediss://127.0.0.1:{redis}/0?ssl_cert_reqs=none"},
        "no ssl_… option belongs",
    ),
}


@pytest.mark.parametrize("case", sorted(HALF))
def test_half_of_a_protection_is_an_error_at_the_start(
    plant: Plant, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, told = HALF[case]
    set_all(monkeypatch, plant, {name: value for name, value in change.items() if value})
    for name in (name for name, value in change.items() if not value):
        monkeypatch.delenv(name)
    if "PLAINTEXT" in change.values():
        for name in ("CA", "CERTIFICATE", "KEY"):
            monkeypatch.delenv(f"TRITON_SSL_{name}_LOCATION")
    assert steadyline(["doctor", "--json"]) == EXIT_USAGE
    assert told in capsys.readouterr().err


def test_a_wrong_key_of_the_store_is_named_by_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("s3fs", reason="the s3 extra is not installed")
    gateway = S3Gateway(tmp_path / "s3", CertificateAuthority(tmp_path / "certificates"))
    gateway.process.start()
    try:
        for name, value in gateway.environment(WRONG).items():
            monkeypatch.setenv(name, value)
        fsspec_forgets()
        write_line(f"s3://{BUCKET}/x")
        found, took = findings(capsys)
        assert found["store"].startswith("failed")
        assert "the store refuses these credentials" in found["store"]
        assert took < WITHIN
    finally:
        gateway.process.stop()
