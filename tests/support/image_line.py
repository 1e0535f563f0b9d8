"""A line on real servers whose services run from their images."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from steadyline.contracts.alert import Alert
from steadyline.servers import Addresses
from tests.support.containers import ContainerSpec, ServiceContainer, run_once
from tests.support.scorer_line import ScorerLine
from tests.support.service_process import ServiceProcess

USER = 10001  # of the images


class ImageLine(ScorerLine):
    """``ScorerLine`` with containers for services; what they write belongs to the images' user."""

    def __init__(self, home: Path, addresses: Addresses, source: str) -> None:
        super().__init__(home, addresses, source, when_behind="block")
        for folder in (home, home / "store", home / "producers", home / "state"):
            folder.mkdir(exist_ok=True)
            os.chown(folder, USER, USER)

    @override
    def environment(self) -> dict[str, str]:
        """Return the variables of a container: nothing of this process."""
        return {**self.addresses.environment(), "COLUMNS": "200"}

    @override
    def start_service(
        self, service: str, *options: str, name: str = "", environment: Mapping[str, str] | None = None
    ) -> ServiceProcess:
        """Start ``run`` of a service's image; ``name`` tells its log from others."""
        variables = {
            **self.environment(),
            "STEADYLINE_LOG_FORMAT": "json",
            "STEADYLINE_HEALTH_HOST": "127.0.0.1",
            "STEADYLINE_HEALTH_PORT": "0",
            "OMP_NUM_THREADS": "1",
            **(environment or {}),
        }
        words = ["run", "--line", str(self.line_file), *options]
        spec = ContainerSpec(service, words, variables, (self.home,))
        log = self.home / f"{service}-{len(self.started)}{name and f'-{name}'}.log"
        process = ServiceContainer(spec, log)
        process.start()
        self.started.append(process)
        return process

    @override
    def steadyline(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline`` from its image."""
        environment = {**self.environment(), **variables}
        return run_once(ContainerSpec("steadyline", arguments, environment, (self.home,)), self.home, 300)

    def alert_settings(self) -> dict[str, str]:
        """Return the variables of the alerts service."""
        return {
            "ALERTS_DATABASE": f"sqlite:///{self.home / 'state' / 'alerts.db'}",
            "ALERTS_API_PORT": "0",
            "ALERTS_INSTANCE": "one",
        }

    def cameras_told(self) -> set[str]:
        """Return the cameras of which the topic of alerts tells an anomaly."""
        records = self.read_topic(self.topics.alerts.name)
        alerts = [Alert.decode(record.value) for record in records if record.value is not None]
        return {alert.camera or "" for alert in alerts if alert.kind == "anomaly"}
