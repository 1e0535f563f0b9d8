"""Apache Kafka, one KRaft node: its jars, its data folder, its readiness."""

import base64
import socket
import subprocess
import uuid
from importlib.resources import as_file, files
from pathlib import Path

from steadyline.servers.ports import free_ports
from steadyline.servers.process import Launch, ServerFailed

JVM = (
    "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
    "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8",
)  # fmt: skip
# ApiVersions, version 0, correlation id 1, client "ready": the first request any client sends.
_API_VERSIONS = bytes.fromhex("0000000f0012000000000001000572656164" + "79")


class KafkaFiles:
    """Where one node keeps its things; ports are chosen once per home, so that clients find it again."""

    def __init__(self, home: Path, jars: Path) -> None:
        self.home, self._jars = home / "kafka", jars
        self._ports = self.home / "ports"

    @property
    def bootstrap(self) -> str:
        """The address clients use."""
        return f"127.0.0.1:{self._port()}"

    def launch(self) -> Launch:
        """Format the data folder when it is new, and return how to start the node."""
        if not any(self._jars.glob("kafka_2.13-*.jar")):
            raise ServerFailed(f"Kafka's jars are not in {self._jars}: run `make init`")
        self._write_configuration()
        if not (self.home / "data" / "meta.properties").exists():
            self._format()
        return Launch("kafka", self._java("kafka.Kafka", str(self._properties)), self._answers)

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    def _port(self) -> int:
        return int(self._ports.read_text(encoding="utf-8").split()[0])

    def _write_configuration(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        if not self._ports.exists():
            self._ports.write_text(" ".join(map(str, free_ports(2))), encoding="utf-8")
        port, controller = self._ports.read_text(encoding="utf-8").split()
        source = files("steadyline.servers") / "kafka_files"
        text = (source / "server.properties").read_text(encoding="utf-8")
        values = {"@PORT@": port, "@CONTROLLER_PORT@": controller, "@DATA@": str(self.home / "data")}
        for name, value in values.items():
            text = text.replace(name, value)
        self._properties.write_text(text, encoding="utf-8")
        (self.home / "log4j2.properties").write_text(
            (source / "log4j2.properties").read_text(encoding="utf-8"), encoding="utf-8"
        )

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}"
        return ["java", *JVM, logging, "-cp", str(self._jars / "*"), *arguments]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        tool = (
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster,
            "--config",
            str(self._properties),
        )
        done = subprocess.run(self._java(*tool), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerFailed(f"kafka: the data folder cannot be formatted:\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        """One ApiVersions round trip: the listener opens only after recovery."""
        try:
            with socket.create_connection(("127.0.0.1", self._port()), 1) as connection:
                connection.settimeout(2)
                connection.sendall(_API_VERSIONS)
                return len(connection.recv(4)) == 4
        except OSError:
            return False


def jars_digests() -> Path:
    """Return the checked-in list of SHA-256 digests of the jars."""
    with as_file(files("steadyline.servers") / "kafka_files" / "libs.sha256") as path:
        return path
