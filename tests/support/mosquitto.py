"""A real mosquitto for the tests: a child process on a free port of loopback, and its own subscriber."""

import json
import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerProcess
from tests.support.eventually import eventually

# Separated by tabs, which none of ours has in it; the payload last, as hexadecimal digits.
_FORMAT = "%t\\t%r\\t%q\\t%C\\t%P\\t%x"
_READY = "listening"


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def require_mosquitto() -> None:
    """Skip loudly on a laptop that lacks mosquitto; fail in CI."""
    if all(_program(name) is not None for name in ("mosquitto", "mosquitto_sub", "mosquitto_passwd")):
        return
    if os.environ.get("CI"):
        pytest.fail("mosquitto missing in CI: `make init` must bring it")
    pytest.skip("mosquitto missing: run `make init`")


@dataclass(frozen=True)
class MessageHeard:
    """One message as mosquitto_sub read it."""

    topic: str
    payload: bytes
    is_retained: bool  # it lay at the broker before the subscriber came
    qos: int
    content_type: str
    properties: dict[str, str]  # user properties

    @property
    def json(self) -> Any:
        """What the payload says."""
        return json.loads(self.payload)


@dataclass
class MosquittoBroker:
    """One broker; it forgets everything when it stops."""

    home: Path
    users: dict[str, str] = field(default_factory=dict)  # with their passwords; empty: anybody
    certificate: Path | None = None
    rules: Path | None = None  # who may do what under which topic

    def __post_init__(self) -> None:
        self.port, self.tls_port = KeptPorts(self.home / "port", 2).numbers
        ports = [self.port] if self.certificate is None else [self.port, self.tls_port]
        config = self.home / "mosquitto.conf"
        command = [str(_program("mosquitto")), "-c", str(config)]
        self._server = ServerProcess(
            Launch("mosquitto", command, self.home, ports, _answers, ready_seconds=30), self.home
        )
        passwords = self._passwords()
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if self.users else 'true'}",
            "persistence false",
            "log_dest stderr",
            f"user {pwd.getpwuid(os.geteuid()).pw_name}",
            *([f"password_file {passwords}"] if self.users else []),
        ]
        if self.rules is not None:
            lines += [f"acl_file {self.rules}"]
        if self.certificate is not None:
            lines += [f"listener {self.tls_port} 127.0.0.1"]
            lines += [f"certfile {self.certificate}", f"keyfile {self.certificate}"]
        config.write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        """Its address without TLS."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the same port each time."""
        self._server.start()

    def stop(self) -> None:
        """End it; what was retained is gone."""
        self._server.stop()

    def suspend(self) -> None:
        """Let it answer nothing."""
        self._server.suspend()

    def resume(self) -> None:
        """Let it answer again."""
        self._server.resume()

    @contextmanager
    def listening(self, topic: str = "#") -> Iterator[list[MessageHeard]]:
        """Yield a list that grows by what mosquitto_sub reads, as it is read; it has begun to listen."""
        heard: list[MessageHeard] = []
        command = [*self._sub(), "-t", topic, "-t", _READY, "-q", "1", "-F", _FORMAT]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        is_ready = threading.Event()
        reader = threading.Thread(target=_read_lines, args=(process, heard, is_ready), daemon=True)
        reader.start()
        try:
            eventually(lambda: self._is_heard(is_ready), within=20)
            yield heard
        finally:
            process.kill()
            process.wait()
            reader.join()
            assert process.stdout is not None
            process.stdout.close()

    def retained(self, topic: str) -> MessageHeard | None:
        """Return what lies under one topic; None when nothing does."""
        # What is retained comes at once, and then the message that it publishes itself.
        with self.listening(topic) as heard:
            return heard[0] if heard else None

    def state_of(self, camera: str) -> Any:
        """Return what lies under the state of a camera of line-1; None when nothing does."""
        found = self.retained(f"steadyline/line-1/cameras/{camera}/state")
        return None if found is None else found.json

    def publish(self, topic: str, text: str) -> None:
        """Publish a message that is not retained."""
        command = [str(_program("mosquitto_pub")), *self._where(), "-t", topic, "-m", text, "-q", "1"]
        subprocess.run(command, check=True)

    def _is_heard(self, is_ready: threading.Event) -> bool:
        self.publish(_READY, "")
        return is_ready.wait(0.5)

    def _sub(self) -> list[str]:
        return [str(_program("mosquitto_sub")), *self._where()]

    def _where(self) -> list[str]:
        user, password = next(iter(self.users.items()), (None, None))
        names = ["-u", user, "-P", str(password)] if user is not None else []
        return ["-V", "mqttv5", "-h", "127.0.0.1", "-p", str(self.port), *names]

    def _passwords(self) -> Path:
        path = self.home / "passwords"
        for name, password in self.users.items():
            flags = [] if path.exists() else ["-c"]
            command = [str(_program("mosquitto_passwd")), "-b", *flags, str(path), name, password]
            subprocess.run(command, check=True, capture_output=True)
        return path


def _answers() -> bool:
    return True  # it listens once it is ready


def _read_lines(
    process: "subprocess.Popen[str]", heard: list[MessageHeard], is_ready: threading.Event
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        topic, retained, qos, kind, properties, payload = line.rstrip("\n").split("\t")
        if topic == _READY:
            is_ready.set()
            continue
        pairs = dict(pair.split(":", 1) for pair in properties.split())
        heard.append(MessageHeard(topic, bytes.fromhex(payload), retained == "1", int(qos), kind, pairs))


@contextmanager
def mosquitto(
    home: Path,
    users: dict[str, str] | None = None,
    certificate: Path | None = None,
    rules: Path | None = None,
) -> Iterator[MosquittoBroker]:
    """Yield a broker that runs until the end of the block; with ``certificate`` it has a port of TLS too."""
    require_mosquitto()
    home.mkdir(parents=True, exist_ok=True)
    broker = MosquittoBroker(home, users or {}, certificate, rules)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
