"""A run with a marked secret on each edge writes none: to no log, topic, table, object, file or argument."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_client
from psycopg import sql
from typing_extensions import override

from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from steadyline.settings import TritonSettings
from steadyline.signing import Signer
from steadyline.triton import TritonClient
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.line_under_test import VERB_WITHIN
from tests.support.locked_servers import ADMIN, LockedRedis, LockedTriton, a_folder, running, user_of_redis
from tests.support.models import a_plain_picture
from tests.support.otlp_collector import Collector, collecting
from tests.support.postgres import LockedPostgres, require_postgres
from tests.support.scorer_line import ScorerLine
from tests.support.servers import require
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.servers

FRAMES = 5  # of each of the four cameras
SOURCE = f"synthetic:?fps=20&size=32&limit={FRAMES}"
OF_REDIS = "marked-password-of-redis"
OF_MAIL, OF_STORE = "marked-password-of-mail", "marked-key-of-the-store"
OF_MONITOR = "marked-word-of-the-monitor"
OF_OTLP = "marked-token-of-the-collector"


@dataclass(frozen=True)
class LockedPlant:
    """All servers of a line, locked, and the folder of the secrets that are given as files."""

    kafka: str
    redis: LockedRedis
    triton: LockedTriton
    postgres: LockedPostgres
    collector: Collector
    secrets: Path

    def variables(self) -> dict[str, str]:
        """Return what every process is given, with a secret on each edge; the longest ones as files."""
        believed = {"sslmode": "verify-full", "sslrootcert": self.redis.authority.ca}
        database = self.postgres.url("plant", LockedPostgres.PASSWORD, **believed)
        return {
            **self.redis.environment("trainer", OF_REDIS),
            **self.triton.environment(),
            "ALERTS_DATABASE_FILE": self._file("database", database),
            "ALERTS_MAIL_HOST": "127.0.0.1",
            "ALERTS_MAIL_PORT": "1",
            "ALERTS_MAIL_USER": "plant",
            "ALERTS_MAIL_PASSWORD": OF_MAIL,
            "ALERTS_HEARTBEAT_URL": f"http://127.0.0.1:1/{OF_MONITOR}",
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
            "ALERTS_HEARTBEAT_SECONDS": "0.5",
            "ALERTS_API_PORT": "0",
            "AWS_ACCESS_KEY_ID": "plant",
            "AWS_SECRET_ACCESS_KEY": OF_STORE,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{OF_OTLP}",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "LOG_LEVEL": "debug",
        }

    def marks(self) -> list[str]:
        """Return the words that must be nowhere."""
        marks = [OF_REDIS, OF_MAIL, OF_STORE, OF_MONITOR, OF_OTLP, LockedPostgres.PASSWORD]
        return [*marks, self.triton.files.admin_key]

    def new_signing_key(self) -> tuple[str, list[str]]:
        """Return the path of a private key, and the lines of it that must be nowhere."""
        pem = Signer.new().private_pem()
        return self._file("signing-key", pem), [line for line in pem.splitlines() if "-" not in line]

    def _file(self, name: str, text: str) -> str:
        path = self.secrets / name
        path.write_text(text, encoding="utf-8")
        return str(path)


class SecretiveLine(ScorerLine):
    """A line on such servers."""

    def __init__(self, home: Path, plant: LockedPlant) -> None:
        self.plant = plant
        files = plant.triton.files
        addresses = Addresses(
            kafka_bootstrap=plant.kafka,
            redis_url=plant.redis.url(),
            triton_grpc=files.grpc,
            triton_admin_key=files.admin_key,
            triton_repository=str(files.repository),
        )
        super().__init__(home, addresses, SOURCE, "block")

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.plant.variables()}

    @cached_property
    @override
    def triton(self) -> TritonClient:
        named = self.plant.triton.environment().items()
        given = {name.removeprefix("TRITON_").lower(): text for name, text in named}
        client = TritonClient(TritonSettings.model_validate(given))
        self._opened.callback(client.close)
        return client

    def arguments(self) -> str:
        """Return the arguments of every process of a service that runs."""
        commands = [Path(f"/proc/{process.pid}/cmdline") for process in self.started if process.is_alive]
        return "\n".join(path.read_bytes().replace(b"\0", b" ").decode() for path in commands)


@pytest.fixture(scope="module")
def plant(kafka: str) -> Iterator[LockedPlant]:
    require(("redis", "triton"))
    require_postgres()
    with a_folder() as folder, ExitStack() as stack:
        folder.chmod(0o755)
        for name in ("postgres", "secrets"):
            (folder / name).mkdir()
        authority = CertificateAuthority(folder / "certificates")
        redis = LockedRedis(folder / "redis", authority, [user_of_redis("trainer", OF_REDIS, "test")])
        triton = LockedTriton(folder / "triton", authority)
        postgres = LockedPostgres(folder / "postgres", authority)
        for server in (redis, triton):
            stack.enter_context(running(server))
        stack.callback(postgres.stop)
        postgres.start()
        postgres.make_users()
        collector = stack.enter_context(collecting())
        yield LockedPlant(kafka, redis, triton, postgres, collector, folder / "secrets")


@pytest.fixture
def line(plant: LockedPlant, tmp_path: Path) -> Iterator[SecretiveLine]:
    made = SecretiveLine(tmp_path, plant)
    yield made
    made.close()


def test_none_of_the_secrets_of_a_run_is_written_anywhere(line: SecretiveLine, plant: LockedPlant) -> None:
    line.put_in_service()
    scorer, alerts = line.start("a"), line.start_service("alerts")
    token = first_token(line)
    alerts.until_said("api_started")
    assert line.start_producers().wait() == EXIT_OK
    line.until_scored(FRAMES * len(line.cameras))
    line.send_picture("east-0", encode_png(a_plain_picture(32))[:-16])  # a dead letter
    line.flush()
    line.until_scored(FRAMES * len(line.cameras) + 1)
    key, lines_of_key = plant.new_signing_key()
    trainer = line.start_service(
        "trainer",
        environment={"STEADYLINE_SIGNING_KEY_FILE": key, "TRAINER_WORK": str(line.home / "work")},
    )
    trainer.until_said("health_server_started")
    eventually(lambda: everything_in_redis(plant) != repr(([], [])).encode(), 30, "the trainer's lease")
    arguments = line.arguments()
    assert arguments.count("--line") == 3, "scorer, alerts and trainer run"
    wrong = plant.redis.url("trainer", f"{OF_REDIS}-wrong")
    done = [line.steadyline("doctor", "--json"), line.steadyline("doctor", "--json", REDIS_URL=wrong)]
    printed = [one.stdout + one.stderr for one in done] + [run_module(line, "alerts", "config")]
    assert all(len(text) > 200 for text in printed)
    for process in (trainer, alerts, scorer):
        assert process.stop() == EXIT_OK
    assert plant.collector.points, "the collector was told something"
    places = {
        "arguments": arguments.encode(),
        "what commands print": "\n".join(printed).encode(),
        "topics": b"\n".join(everything_on_topics(line)),
        "tables": everything_in_tables(plant).encode(),
        "redis": everything_in_redis(plant),
        "telemetry": repr((plant.collector.spans, plant.collector.points)).encode(),
    }
    files = [path for path in sorted(line.home.rglob("*")) if path.is_file()]
    assert len(files) > 10, "logs, evidence, the producers' state"
    places |= {str(path): path.read_bytes() for path in files}
    assert all(places[name] for name in ("topics", "tables", "redis", "telemetry"))
    assert all(b"east-0" in places[name] for name in ("topics", "telemetry")), "it finds what is there"
    marks = [*plant.marks(), token, *lines_of_key]
    found = [(place, mark[:12]) for place, data in places.items() for mark in marks if mark.encode() in data]
    assert found == []


def first_token(line: SecretiveLine) -> str:
    """Return the first token of the API: it is printed once, to whoever asks for it."""
    done = run_module(line, "alerts", "first-token")
    return done.strip().splitlines()[-1]


def run_module(line: SecretiveLine, *words: str) -> str:
    """Run a command of a service to its end and return what it printed."""
    log = line.home.parent / f"{words[0]}-{words[1]}.log"  # not where the line writes
    process = ServiceProcess(list(words), {**line.environment(), "COLUMNS": "200"}, log)
    process.start()
    assert process.wait(VERB_WITHIN) == EXIT_OK, process.tail()
    return process.text()


def everything_on_topics(line: SecretiveLine) -> Iterator[bytes]:
    """Yield every key, value and header of every topic of the line."""
    for topic in line.topics:
        for record in line.read_topic(topic.name):
            yield b"\n".join([record.key or b"", record.value or b"", repr(record.headers).encode()])


def everything_in_tables(plant: LockedPlant) -> str:
    """Return every row of the alerts' database as text."""
    address = f"postgresql://alerts@127.0.0.1:{plant.postgres.port}/plant"
    with psycopg.connect(address) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert len(names) > 10
        rows = [
            connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall()
            for (name,) in names
        ]
    return "\n".join(str(row[0]) for found in rows for row in found)


def everything_in_redis(plant: LockedPlant) -> bytes:
    """Return every value in Redis, of whatever type, and the name of its key."""
    given = plant.redis.environment(*ADMIN)
    with redis_client.Redis.from_url(
        given["REDIS_URL"],
        ssl_ca_certs=given["REDIS_SSL_CA_LOCATION"],
        ssl_certfile=given["REDIS_SSL_CERTIFICATE_LOCATION"],
        ssl_keyfile=given["REDIS_SSL_KEY_LOCATION"],
    ) as client:
        keys: Any = client.keys("*")
        values: list[Any] = [
            client.get(key) if client.type(key) == b"string" else client.hgetall(key) for key in keys
        ]
    return repr((keys, values)).encode()
