"""A simulation over the topics of a real Kafka sees what is there, in order, from the moment it is given."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from alerts.simulation.reading import ReadingBounds, TopicSpan
from alerts.simulation.simulator import Simulator
from steadyline.clock import SystemClock
from steadyline.contracts.frame import FrameId
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.rule_set import RuleSet
from tests.support.line_under_test import LineUnderTest
from tests.support.servers import OwnStack
from tests.support.written_scores import write, written_scores

pytestmark = pytest.mark.servers

CAMERAS = ("east-0", "east-1")
WITHIN = 120.0  # seconds; two cores, shared with other tests
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def line(own_stack: OwnStack, tmp_path: Path) -> Iterator[LineUnderTest]:
    made = LineUnderTest(tmp_path, own_stack("kafka").addresses)
    cameras = "".join(f"  - {{id: {name}, product: cell, source: 'folder:.'}}\n" for name in CAMERAS)
    made.write_line(
        f"line: test\ntopics: {{prefix: {made.name}, partitions: 2}}\nstore: file://./store\n"
        f"products: {{cell: {{alerts: {{close_frames: 3}}}}}}\ncameras:\n{cameras}"
    )
    made.create_topics()
    yield made
    made.close()


def simulator_of(line: LineUnderTest, bounds: ReadingBounds | None = None) -> Simulator:
    """Return a simulator on the line's own broker."""
    stop, seal = threading.Event(), EventSeal(line.line.line)
    return Simulator(line.line, line.broker, seal, SystemClock(), stop, bounds or ReadingBounds())


def looser(line: Line) -> Line:
    """Return the line with rules that open an incident by one frame."""
    once = {"open_frames": {"anomalous": 1, "of": 1}}
    return RuleSet.of(line).proposed({"products": {"cell": {"alerts": once}}}).on(line)


def test_rules_are_compared_over_the_real_topics_from_a_moment_on(line: LineUnderTest) -> None:
    simulator = simulator_of(line)
    for camera in CAMERAS:
        write(line.broker, *written_scores(line.line, camera, "ggaaaggg"))
    same = simulator.compare_rules(line.line, TopicSpan(LONG_AGO)).result(timeout=WITHIN)
    assert same.comparison.is_same
    assert same.comparison.now.incidents == len(CAMERAS)
    assert not same.is_cut
    found = simulator.compare_rules(looser(line.line), TopicSpan(LONG_AGO)).result(timeout=WITHIN)
    assert [one.opened_later_seconds for one in found.comparison.changed] == [-2, -2]

    later = datetime.now(UTC) + timedelta(hours=1)
    assert simulator.compare_rules(line.line, TopicSpan(later)).result(WITHIN).topics[-1].messages == 0
    before = simulator.compare_rules(line.line, TopicSpan(LONG_AGO, LONG_AGO + timedelta(days=1)))
    assert before.result(timeout=WITHIN).topics[-1].messages == 0

    frame = FrameId("east-1", 7, 5)
    told = simulator.explain_frame(frame, TopicSpan(LONG_AGO)).result(timeout=WITHIN)
    assert told.why is not None
    assert (told.why.effect, told.why.replayed) == ("opened", 5)
    simulator.close()


def test_a_bound_cuts_the_reading_of_a_real_topic_and_the_next_one_reads_again(line: LineUnderTest) -> None:
    write(line.broker, *written_scores(line.line, CAMERAS[0], "g" * 50))
    simulator = simulator_of(line, ReadingBounds(messages=10))
    for _ in range(2):
        found = simulator.compare_rules(line.line, TopicSpan(LONG_AGO)).result(timeout=WITHIN)
        assert [(topic.messages, topic.cut) for topic in found.topics][-1] == (10, "messages")
    simulator.close()


def test_the_service_notes_its_rules_and_simulates_others_over_its_api(line: LineUnderTest) -> None:
    settings = {"ALERTS_DATABASE": f"sqlite:///{line.home}/alerts.db", "ALERTS_API_PORT": "0"}
    process = line.start_service("alerts", name="one", environment=settings)
    process.until_ready(WITHIN)
    process.until_said("api_started")
    port = process.said("api_started")[0]["port"]
    token = subprocess.run(
        [sys.executable, "-P", "-m", "alerts", "first-token"],
        env={**line.environment(), **settings},
        cwd=line.home,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout.strip()
    write(line.broker, *written_scores(line.line, CAMERAS[0], "ggaggg"))
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=WITHIN) as api:
        in_force = api.get("/rules").raise_for_status().json()["version"]
        versions = api.get("/rules/versions").raise_for_status().json()["items"]
        once = {"products": {"cell": {"alerts": {"open_frames": {"anomalous": 1, "of": 1}}}}}
        body = {"since": LONG_AGO.isoformat(), "rules": once}
        found = api.post("/rules/simulate", json=body).raise_for_status().json()
        why = api.get(f"/frames/{CAMERAS[0]}/7/3/why").raise_for_status().json()
    assert [one["version"] for one in versions] == [in_force]
    assert len(found["comparison"]["only_proposed"]) == 1
    assert why["why"]["effect"] == "counted"
    assert process.stop() == 0
