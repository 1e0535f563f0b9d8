"""A monitor outside hears from us while all is well; whatever is not well, it hears nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.http_client import HttpClient
from alerts.line_watch.heartbeat import HeartbeatPlan, OutwardHeartbeat
from alerts.line_watch.watch import LineWatch
from steadyline.errors import InvalidConfiguration
from steadyline.telemetry.health import ServiceHealth
from tests.support.alerts_bench import AlertsBench
from tests.support.watched_line import WatchedBench
from tests.support.webhook_receiver import PlannedAnswer, PostSeen, WebhookReceiver, webhook_receiver

MINUTE = timedelta(minutes=1)


class BeatingLine:
    """A watched line, its process's health, and a monitor on a loopback port."""

    def __init__(self, line: WatchedBench, monitor: WebhookReceiver, allow_private: bool = True) -> None:
        self.line, self.monitor, self.clock = line, monitor, line.alerts.clock
        self.health = ServiceHealth(self.clock)
        self.health.set_ready("start", True)
        self.watch: LineWatch = line.watch()
        client = HttpClient(EgressGuard(EgressRules.of(allow_private)))
        plan = HeartbeatPlan(monitor.url, MINUTE, 2 * MINUTE)
        self.heart = OutwardHeartbeat(plan, client, self.watch, self.health, self.clock)

    def lives(self, minutes: int = 1, measures: bool = True, beats: bool = True) -> int:
        """Let time pass while the line is measured and every task advances; return the new heartbeats."""
        before = len(self.monitor.seen)
        for _ in range(12 * minutes):
            self.clock.advance(timedelta(seconds=5))
            for task in ("main", "deliveries") if beats else ("main",):
                self.health.beat(task)
            if measures:
                self.watch.turn()
            self.heart.turn()
        return len(self.monitor.seen) - before


@pytest.fixture
def line(tmp_path: Path) -> Iterator[WatchedBench]:
    alerts = AlertsBench(f"sqlite:///{tmp_path / 'alerts.db'}")
    yield WatchedBench(alerts)
    alerts.close()


@pytest.fixture
def beating(line: WatchedBench) -> Iterator[BeatingLine]:
    with webhook_receiver() as monitor:
        yield BeatingLine(line, monitor)


def test_a_get_a_minute_says_that_all_is_well(beating: BeatingLine) -> None:
    assert beating.lives(minutes=5) == 5
    assert {post.path for post in beating.monitor.seen} == {"/hook"}


def test_nothing_is_sent_before_the_line_was_measured(beating: BeatingLine) -> None:
    assert beating.lives(measures=False) == 0
    assert beating.heart.withheld() == "not_measured"


def test_a_task_that_hangs_is_not_told_as_well(beating: BeatingLine) -> None:
    assert beating.lives() == 1
    assert beating.lives(minutes=3, beats=False) <= 1
    assert beating.heart.withheld() == "not_live"
    assert beating.lives() == 1


def test_a_process_that_is_kept_from_its_servers_is_not_told_as_well(beating: BeatingLine) -> None:
    assert beating.lives() == 1
    beating.health.set_ready("database", False, "away")
    assert beating.lives(minutes=2) == 0
    beating.health.set_ready("database", True)
    assert beating.lives() == 1


def test_a_line_that_is_not_measured_any_more_is_not_told_as_well(beating: BeatingLine) -> None:
    assert beating.lives() == 1
    beating.line.alerts.broker.set_away(True)
    assert beating.lives(minutes=5) <= 2
    assert beating.heart.withheld() == "not_measured"
    beating.line.alerts.broker.set_away(False)
    assert beating.lives() == 1


def test_no_heartbeat_is_sent_while_no_scores_come_also_when_somebody_has_taken_it(
    beating: BeatingLine,
) -> None:
    assert beating.lives() == 1
    beating.line.send(frames=20)
    beating.lives()
    assert beating.line.told() == [("no_scores", "opened")]
    assert beating.lives(minutes=3) == 0
    beating.line.send(scores=20)
    beating.line.score_all()
    assert beating.lives(minutes=2) >= 1


def test_only_the_process_that_measures_the_line_sends(beating: BeatingLine) -> None:
    other = beating.line.watch("b")
    other.turn()
    assert beating.lives() >= 0  # the other is gone: this one takes the place once its time is over
    beating.clock.advance(MINUTE)
    other.turn()
    beating.watch.turn()
    assert beating.watch.is_others
    before = len(beating.monitor.seen)
    beating.heart.turn()
    assert len(beating.monitor.seen) == before


@pytest.mark.parametrize("status", [404, 500, 302])
def test_a_monitor_that_does_not_take_it_is_asked_again_soon(line: WatchedBench, status: int) -> None:
    answers = [status, status, 200]

    def answer(_: PostSeen) -> PlannedAnswer:
        return PlannedAnswer(answers.pop(0) if len(answers) > 1 else answers[0])

    with webhook_receiver(answer) as monitor:
        assert BeatingLine(line, monitor).lives() == 3
        assert answers == [200]


def test_an_address_inside_the_plant_needs_the_setting_that_allows_it(line: WatchedBench) -> None:
    with webhook_receiver() as monitor:
        assert BeatingLine(line, monitor, allow_private=False).lives() == 0
        assert monitor.connections == []


@pytest.mark.parametrize("url", ["ftp://h/x", "nonsense", "https://user:secret@h/x", "https://h/x y"])
def test_an_address_that_is_none_is_refused_at_the_start_and_not_told(url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="ALERTS_HEARTBEAT_URL") as refused:
        HeartbeatPlan(url, MINUTE, MINUTE)
    assert "secret" not in str(refused.value)
