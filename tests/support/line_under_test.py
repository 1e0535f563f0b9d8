"""A line of one test on real servers: its file, its topics, the services started for it, what they wrote."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message, Publisher, Reader, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import Line, load_line
from steadyline.servers import Addresses
from steadyline.settings import KafkaSettings, TritonSettings
from steadyline.store import Store
from steadyline.triton import TritonClient
from tests.support.eventually import eventually
from tests.support.service_process import ServiceProcess

VERB_WITHIN = 300.0  # seconds; a verb may wait for a training
READ_WITHIN = 60.0  # seconds; a broker that was killed is just coming back


class LineUnderTest:
    """A line file in the folder ``home`` and the servers at ``addresses``.

    ``name`` is a word that no other line has: the prefix of the topics, part of the name of a product. There
    is no line before ``write_line``. Whatever was opened or started ends with ``close``.
    """

    def __init__(self, home: Path, addresses: Addresses) -> None:
        self.home, self.addresses = home, addresses
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.line_file = home / "line.yaml"
        self.started: list[ServiceProcess] = []
        self._opened = ExitStack()
        self.broker = KafkaBroker(KafkaSettings(bootstrap_servers=addresses.kafka_bootstrap), "test")
        self._opened.callback(self.broker.close)

    def write_line(self, text: str) -> None:
        """Write the line file and read it; services that run have read the old one."""
        self.line_file.write_text(text, encoding="utf-8")
        self.line: Line = load_line(self.line_file)
        self.topics: Topics = self.line.kafka_topics()

    @property
    def store(self) -> Store:
        """The line's store."""
        return Store(self.line.store)

    def create_topics(self) -> None:
        """Create the line's topics."""
        self.broker.create_topics(list(self.topics))

    @cached_property
    def triton(self) -> TritonClient:
        """A client of the line's Triton, with the key of its administrator."""
        values = {"url": self.addresses.triton_grpc, "admin_key": self.addresses.triton_admin_key}
        client = TritonClient(TritonSettings.model_validate(values))
        self._opened.callback(client.close)
        return client

    @cached_property
    def publisher(self) -> Publisher:
        """The test's own publisher."""
        publisher = self.broker.publisher("test-publisher")
        self._opened.callback(publisher.close)
        return publisher

    @cached_property
    def reader(self) -> Reader:
        """The test's own reader."""
        reader = self.broker.reader("test-reader")
        self._opened.callback(reader.close)
        return reader

    def environment(self) -> dict[str, str]:
        """Return the environment of everything that runs on the line."""
        return {**os.environ, **self.addresses.environment(), "COLUMNS": "200"}

    def start_service(
        self, service: str, *options: str, name: str = "", environment: Mapping[str, str] | None = None
    ) -> ServiceProcess:
        """Start ``python -m SERVICE run``; ``name`` tells its log from others."""
        variables = {
            **self.environment(),
            "STEADYLINE_LOG_FORMAT": "json",
            "OMP_NUM_THREADS": "1",
            **(environment or {}),
        }
        log = self.home / f"{service}-{len(self.started)}{name and f'-{name}'}.log"
        process = ServiceProcess([service, "run", "--line", str(self.line_file), *options], variables, log)
        process.start()
        self.started.append(process)
        return process

    def steadyline(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline`` with these arguments in the folder of the line."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "steadyline", *arguments],
            cwd=self.home,
            env={**self.environment(), **variables},
            capture_output=True,
            text=True,
            timeout=VERB_WITHIN,
            check=False,
        )

    def ask(self, *verb: str) -> tuple[int, dict[str, Any]]:
        """Run a verb of ``steadyline`` on the line; return its exit status and its answer as JSON."""
        done = self.steadyline(*verb, "--line", str(self.line_file), "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def publish(self, message: Message) -> None:
        """Hand a message to the publisher; ``flush`` waits for it."""
        self.publisher.publish(message, lambda error: None)

    def flush(self) -> None:
        """Wait until every message handed over is on its topic."""
        assert self.publisher.flush(timedelta(seconds=30))

    def write(self, message: Message) -> None:
        """Write one message and wait for it."""
        self.publish(message)
        self.flush()

    def say(self, event: ModelEvent) -> None:
        """Write an event of a product's models, as a trainer does."""
        headers = event.headers("test", event.product, event.at)
        key = event.product.encode()
        self.write(Message(self.topics.model_events.name, key, event.encode(), headers))

    def read_topic(self, topic: str) -> list[Record]:
        """Return everything on a topic; a broker that is just coming back is asked again."""

        def tried() -> tuple[list[Record]] | None:
            try:
                return (list(self.reader.read(topic)),)
            except BrokerUnavailable:
                return None

        found = eventually(tried, READ_WITHIN, f"{topic} can be read")
        assert found is not None
        return found[0]

    def frames(self) -> list[Frame]:
        """Return every published frame, in order per camera."""
        return [Frame.decode(item.value, item.headers) for item in self.read_topic(self.topics.frames.name)]

    def statuses(self) -> list[CameraStatus]:
        """Return every status of a camera, in order per camera."""
        return [CameraStatus.decode(item.value) for item in self.read_topic(self.topics.camera_status.name)]

    def events(self) -> list[ModelEvent]:
        """Return every model event, oldest first."""
        records = self.read_topic(self.topics.model_events.name)
        return [ModelEvent.decode(item.value) for item in records if item.value is not None]

    def close(self) -> None:
        """End what still runs and close what was opened; once is enough."""
        for process in self.started:
            process.kill()
        self._opened.close()
