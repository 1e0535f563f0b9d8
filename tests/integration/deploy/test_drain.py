"""A service of a line under load that is told to stop ends before Kubernetes would kill its pod."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.chart import ChartPod, chart_of
from tests.support.eventually import eventually
from tests.support.models import a_defective_picture, a_plain_picture
from tests.support.scorer_line import ScorerLine
from tests.support.service_process import ServiceProcess, is_gone
from tests.support.trainer_line import Orders, TrainerLine

pytestmark = pytest.mark.servers

STARTED_WITHIN = 120.0  # seconds; two cores, shared with other tests
FRAMES_A_SECOND = 20  # of each camera
ENDLESS = Orders(steps=100_000)


def pod_of(service: str) -> ChartPod:
    """Return the pod of a service as the chart's own values make it."""
    (pod,) = chart_of("defaults").workloads(service)
    return pod


def seconds_of(service: str) -> float:
    """Return how long a service has in its pod from SIGTERM to SIGKILL."""
    pod = pod_of(service)
    before = pod.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    return float(pod.spec["terminationGracePeriodSeconds"] - before)


def stop_setting_of(service: str) -> dict[str, str]:
    """Return the setting of the pod that says how long the service itself waits at a stop, if it has one."""
    return {name: value for name, value in pod_of(service).environment.items() if "_STOP_SECONDS" in name}


class StreamingLine(ScorerLine):
    """A line whose cameras show good and defective parts without an end."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        folder = home / "frames"
        folder.mkdir()
        for number, picture in enumerate((a_plain_picture(32), a_defective_picture(32))):
            (folder / f"{number}.png").write_bytes(encode_png(picture))
        super().__init__(home, addresses, f"folder:{folder}?fps={FRAMES_A_SECOND}&loop=true")

    def start_alerts(self) -> ServiceProcess:
        """Start ``python -m alerts run``."""
        own = {"ALERTS_DATABASE": f"sqlite:///{self.home / 'alerts.db'}", "ALERTS_API_PORT": "0"}
        return self.start_service("alerts", environment={**own, **stop_setting_of("alerts")})

    def audit(self) -> Audit:
        """Return what the topics say of every frame."""
        return Audit.of(gather(self.broker, self.topics, Scope(f"{self.line.topics.prefix}.scorer")))


@pytest.fixture
def streaming(tmp_path: Path, addresses: Addresses) -> Iterator[StreamingLine]:
    made = StreamingLine(tmp_path, addresses)
    yield made
    made.close()


def test_alerts_scorer_and_producers_drain_while_frames_come_and_lose_none(streaming: StreamingLine) -> None:
    streaming.put_in_service()
    alerts = streaming.start_alerts()
    scorer = streaming.start("a", **stop_setting_of("scorer"))
    producers = streaming.start_producers(**stop_setting_of("producers"))
    streaming.until_scored(200, STARTED_WITHIN)
    eventually(lambda: streaming.read_topic(streaming.topics.alerts.name), STARTED_WITHIN, "an alert")
    assert alerts.stop(seconds_of("alerts")) == EXIT_OK, alerts.tail()
    assert scorer.stop(seconds_of("scorer")) == EXIT_OK, scorer.tail()
    assert producers.stop(seconds_of("producers")) == EXIT_OK, producers.tail()

    second = streaming.start("b")
    eventually(
        lambda: streaming.audit().totals()["in_flight"] == 0, STARTED_WITHIN, "what was left is scored"
    )
    assert second.stop() == EXIT_OK
    audit = streaming.audit()
    assert audit.is_intact
    assert len(audit.accounts) == len(streaming.cameras)


@pytest.fixture
def training(tmp_path: Path, addresses: Addresses) -> Iterator[TrainerLine]:
    made = TrainerLine(tmp_path, addresses)
    yield made
    made.close()


def test_a_trainer_ends_its_training_and_itself_before_its_pod_is_killed(training: TrainerLine) -> None:
    trainer = training.work(ENDLESS)
    child = trainer.until_training()
    checkpoint = training.home / "work" / training.product / "checkpoint.json"
    eventually(checkpoint.exists, 240, "a training that is at its steps")
    assert trainer.stop(seconds_of("trainer")) == EXIT_OK, trainer.tail()
    assert is_gone(child)
    assert training.bank.holder(training.product) is None, "the lease is given back"
