"""One defective frame through real processes is one trace: capture, score, incident, delivery."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.ops.alerts_client import AlertsClient
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.models import a_defective_picture
from tests.support.otlp_collector import Collector, SeenSpan, collecting
from tests.support.scorer_line import ScorerLine
from tests.support.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.servers

STARTED_WITHIN = 120.0  # seconds; two cores, shared with other tests


class TracedRun(ScorerLine):
    """A line whose four cameras show one defective frame each, and end."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        folder = home / "frames"
        folder.mkdir()
        (folder / "one.png").write_bytes(encode_png(a_defective_picture(32)))
        super().__init__(home, addresses, f"folder:{folder}?limit=1")

    def alerts(self) -> dict[str, str]:
        """Return the variables of the alerts service."""
        return {
            "ALERTS_DATABASE": f"sqlite:///{self.home / 'alerts.db'}",
            "ALERTS_API_PORT": "0",
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
            "ALERTS_INSTANCE": "one",
        }

    def incidents_told(self) -> set[str]:
        """Return the incidents that the topic of alerts tells of."""
        return {(record.key or b"").decode() for record in self.read_topic(self.topics.alerts.name)}

    def first_token(self) -> str:
        """Run ``python -m alerts first-token`` and return what it prints."""
        command = [sys.executable, "-P", "-m", "alerts", "first-token"]
        environment = {**self.environment(), **self.alerts()}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout.strip()


@pytest.fixture
def watched(tmp_path: Path, addresses: Addresses) -> Iterator[TracedRun]:
    made = TracedRun(tmp_path, addresses)
    yield made
    made.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def test_a_frame_its_score_its_incident_and_its_delivery_are_one_trace(
    watched: TracedRun, collector: Collector
) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "300"}
    watched.put_in_service()
    token = watched.first_token()
    alerts = watched.start_service("alerts", name="alerts", environment={**watched.alerts(), **told})
    scorer = watched.start("a", **told)
    alerts.until_ready(STARTED_WITHIN)
    url = f"http://127.0.0.1:{alerts.until_said('api_started')['port']}"
    with webhook_receiver() as receiver:
        channel = {"kind": "webhook", "url": receiver.url}
        wish = {"name": "hook", "channel": channel, "filter": {"kinds": ["anomaly"]}}
        AlertsClient(url, token).post("subscriptions", body=wish)
        assert watched.start_producers(**told).wait() == EXIT_OK
        count = len(watched.cameras)
        eventually(lambda: len(set(receiver.ids())) == count, 120, "each camera's incident is told")
        client = AlertsClient(url, token)
        eventually(lambda: not any(client.entries("deliveries", 1, state="pending")), 60, "it is noted")
        eventually(
            lambda: watched.incidents_told() >= {incident for incident, _ in receiver.changes()},
            60,
            "the topic has them",
        )
        posts = list(receiver.seen)
        frame = posts[0].alert["anomaly"]["first_frame"]
        asked = {"STEADYLINE_ALERTS_URL": url, "STEADYLINE_ALERTS_TOKEN": token}
        answer = watched.steadyline("trace", frame, **asked)
    assert [process.stop() for process in (alerts, scorer)] == [EXIT_OK, EXIT_OK]

    for post in posts:
        delivery = post.headers["webhook-id"]
        spans = chain_of(collector, post.alert["anomaly"]["first_frame"], post.alert["incident"], delivery)
        assert len({span.trace_id for span in spans}) == 1
        parents = [span.parent_id for span in spans]
        assert parents == ["", *(span.span_id for span in spans[:-1])]
        assert post.headers["traceparent"].split("-")[1:3] == [spans[-1].trace_id, spans[-1].span_id]
    assert answer.returncode == EXIT_OK, answer.stderr
    for words in ("captured", "published", "scored", "this frame opened it", "delivered after 1 attempt"):
        assert words in answer.stdout


def chain_of(collector: Collector, frame: str, incident: str, delivery: str) -> list[SeenSpan]:
    """Return the spans of one frame from its capture to one delivery."""
    wanted = (
        ("producers", "capture", "frame", frame),
        ("scorer", "score", "frame", frame),
        ("alerts", "incident", "incident", incident),
        ("alerts", "deliver", "delivery", delivery),
    )
    return [
        next(span for span in collector.named(service, name) if span.attributes.get(key) == value)
        for service, name, key, value in wanted
    ]
