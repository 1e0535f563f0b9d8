"""Apache Kafka as one KRaft node: its jars, its data folder, its readiness check."""

import base64
import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerFailed

# Only the serial GC and C1: the first answer comes after 3 s instead of 5 s, with 190 MB instead of 260 MB.
JVM = (
    "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    "-Xshare:auto", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8",
)  # fmt: skip
ARCHIVE = "classes.jsa"  # loaded classes, dumped at set-up, which saves another second per start
# ApiVersions, version 0, correlation id 1, client "ready": the first request that any client sends.
_API_VERSIONS = bytes.fromhex("0000000f 0012 0000 00000001 0005") + b"ready"


def new_cluster_id() -> str:
    """Return an id for a new cluster."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


class KafkaFiles:
    """Where one node keeps its files; ports are chosen once per home, so that clients find it again.

    ``jvm`` gives further options for the node's Java, ``settings`` what its ``server.properties`` says in
    place of ours, and ``cluster`` the id that the nodes of one cluster have in common.
    """

    def __init__(
        self,
        home: Path,
        jars: Path,
        jvm: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        cluster: str | None = None,
    ) -> None:
        self._home, self._jars, self._jvm = home / "kafka", jars, tuple(jvm)
        self._settings, self._cluster = dict(settings or {}), cluster or new_cluster_id()
        self.ports = KeptPorts(self._home / "ports", 2)
        self._properties = self._home / "server.properties"
        self._logging = self._home / "log4j2.properties"
        self._data = self._home / "data"

    @property
    def bootstrap(self) -> str:
        """The address that clients use."""
        return f"127.0.0.1:{self.ports.numbers[0]}"

    def launch(self) -> Launch:
        """Format the data folder when it is new, and return how to start the node."""
        if shutil.which("java") is None:
            raise ServerFailed("java is not installed (17 or newer): `make init` brings it or says how")
        if not any(self._jars.glob("kafka_2.13-*.jar")):
            raise ServerFailed(f"Kafka's jars are not in {self._jars}: run `make init`")
        self._write_configuration()
        if not (self._data / "meta.properties").exists():
            self._format()
        return Launch(
            "kafka",
            self._java(*self._jvm, "kafka.Kafka", str(self._properties)),
            self._home,
            self.ports.numbers,
            self._answers,
        )

    def _write_configuration(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        port, controller = self.ports.numbers
        values = {"PORT": str(port), "CONTROLLER_PORT": str(controller), "DATA": str(self._data)}
        source = files("steadyline.servers") / "kafka_files"
        text = (source / "server.properties").read_text(encoding="utf-8")
        text = re.sub(r"@([A-Z_]+)@", lambda match: values.get(match[1], match[0]), text)
        text += "".join(f"\n{name}={value}" for name, value in self._settings.items())  # the last one counts
        self._properties.write_text(text, encoding="utf-8")
        self._logging.write_text((source / "log4j2.properties").read_text(encoding="utf-8"), encoding="utf-8")

    def _java(self, *arguments: str) -> list[str]:
        archive = self._jars.with_name("kafka-classes") / ARCHIVE
        sharing = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        logging = f"-Dlog4j2.configurationFile={self._logging}"
        return ["java", *JVM, *sharing, logging, "-cp", str(self._jars / "*"), *arguments]

    def _format(self) -> None:
        tool = ("kafka.tools.StorageTool", "format", "--cluster-id", self._cluster, "--config")
        command = self._java(*tool, str(self._properties))
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._home)
        if done.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)  # a half-formatted folder would never start
            raise ServerFailed(
                "kafka: the data folder cannot be formatted:", *f"{done.stdout}{done.stderr}".splitlines()
            )

    def _answers(self) -> bool:
        """Make one ApiVersions round trip: the listener opens only after recovery."""
        try:
            with socket.create_connection(("127.0.0.1", self.ports.numbers[0]), 1) as connection:
                connection.settimeout(2)
                connection.sendall(_API_VERSIONS)
                return len(connection.recv(8)) == 8  # length and correlation id
        except OSError:
            return False
