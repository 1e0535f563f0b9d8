"""What a window or its age holds back is recorded, and notified of by nobody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from alerts.database.changes import ToldChange
from alerts.database.connection import Database
from alerts.database.tables import ChangeRow
from alerts.incidents import acts
from alerts.windows.holds import WindowHolds
from alerts.windows.window import WindowSchedule, WindowScope
from tests.support.alerts_bench import START, AlertsBench, a_score, score_message, turns
from tests.support.incidents import DAY, an_incident
from tests.support.rule_steps import rule_steps
from tests.support.window_steps import WindowBench, changed


@dataclass
class NotifiedCameras:
    """Keeps the camera of each change that was to be delivered."""

    cameras: list[str | None] = field(default_factory=list)

    def enqueue(self, session: Session, told: Sequence[ToldChange]) -> None:
        self.cameras.extend(alert.camera for _, alert in told)


@pytest.fixture
def windows(database: Database) -> WindowBench:
    return WindowBench(database)


@pytest.fixture
def intake(url: str) -> Iterator[AlertsBench]:
    """An intake as the service's that notifies of what is an hour old at most."""
    bench = AlertsBench(url, outbox=NotifiedCameras(), holds=WindowHolds(timedelta(hours=1)))
    yield bench
    bench.close()


def held(bench: AlertsBench) -> list[tuple[str, str | None, bool]]:
    """Return (change, what holds it, whether it notifies) of all changes, in order."""
    with bench.database().transaction() as session:
        rows = select(ChangeRow.change, ChangeRow.held_by, ChangeRow.notify).order_by(ChangeRow.id)
        return [(change, word, notify) for change, word, notify in session.execute(rows)]


def test_a_new_database_records_old_incidents_and_notifies_of_the_new_ones(intake: AlertsBench) -> None:
    intake.publish(
        score_message(a_score(1, "east-1", anomalous=True)),
        score_message(a_score(2, "east-1")),
        score_message(a_score(14 * 86_400, "east-2", anomalous=True)),
    )
    intake.clock.set(START + timedelta(days=14, minutes=30))
    turns(intake.process(), 6)
    assert sorted(held(intake), key=str) == [
        ("opened", "old", False),
        ("opened", None, True),
        ("resolved", "old", False),
    ]
    assert isinstance(intake.outbox, NotifiedCameras)
    assert intake.outbox.cameras == ["east-2"]


def test_an_old_incident_that_still_stands_is_notified_once_its_topic_is_read(intake: AlertsBench) -> None:
    """After an outage longer than what is still told of, nobody would ever hear of it."""
    intake.holds = WindowHolds(timedelta(seconds=20))
    intake.publish(
        score_message(a_score(1, "east-1", anomalous=True)),
        score_message(a_score(2, "east-2", anomalous=True)),
        score_message(a_score(3, "east-2")),
    )
    intake.clock.set(START + timedelta(seconds=40))
    process = intake.process()
    turns(process, 6)
    assert {word for _, word, _ in held(intake)} == {"old"}
    for _ in range(4):
        process.keeper.turn()
        intake.clock.advance(timedelta(seconds=3))
    assert [one for one in held(intake) if one[2]] == [("woken", None, True)]
    assert isinstance(intake.outbox, NotifiedCameras)
    assert intake.outbox.cameras == ["east-1"]


def test_a_change_within_a_window_is_recorded_and_one_after_it_is_notified(windows: WindowBench) -> None:
    windows.make()
    windows.clock.set(DAY + timedelta(hours=2))
    first, second = an_incident("c1/7/1"), an_incident("c1/7/2")
    opened = changed(first, "opened", DAY + timedelta(minutes=90))
    risen = changed(first, "risen", DAY + timedelta(minutes=100), severity="critical")
    after = changed(second, "opened", DAY + timedelta(hours=2))
    assert windows.write(opened, risen, after) == ["window", "window", None]


def test_what_a_person_does_within_a_window_is_notified(windows: WindowBench) -> None:
    windows.make()
    now = DAY + timedelta(minutes=90)
    windows.clock.set(now)
    opened = changed(an_incident(), "opened", now)
    taken = acts.acknowledge(opened.incident, "ada", now)
    assert windows.write(opened, taken) == ["window", None]


def test_a_window_of_one_camera_holds_no_other_camera(windows: WindowBench) -> None:
    windows.make(scope=WindowScope(cameras=["c1"]))
    now = DAY + timedelta(minutes=90)
    windows.clock.set(now)
    both = [an_incident("c1/7/1"), an_incident("c2/7/1", camera="c2")]
    assert windows.write(*(changed(one, "opened", now) for one in both)) == ["window", None]


def test_age_goes_before_a_window(windows: WindowBench) -> None:
    windows.make()
    windows.clock.set(DAY + timedelta(days=1))
    assert windows.write(changed(an_incident(), "opened", DAY + timedelta(minutes=90))) == ["old"]


def test_what_windows_are_in_force_is_worked_out_before_the_lock_of_the_limit(windows: WindowBench) -> None:
    """All that write changes wait for that lock: a window that recurs strangely must not hold them up."""
    hour, start = timedelta(hours=1), DAY.replace(tzinfo=None)
    rules = ["FREQ=HOURLY;COUNT=1000", "FREQ=HOURLY", "FREQ=MONTHLY;BYDAY=1MO,-1FR", "FREQ=YEARLY"]
    for rule in rules:
        schedule = WindowSchedule(start=start - 99 * hour, duration_minutes=30, zone="UTC", rule=rule)
        windows.make(schedule=schedule, scope=WindowScope(cameras=["c1"]))
    windows.clock.set(DAY + timedelta(minutes=100))
    moments = [DAY + timedelta(minutes=minute) for minute in range(0, 100, 7)]
    changes = [changed(an_incident(f"c1/7/{n}"), "opened", at) for n, at in enumerate(moments)]
    before: list[int] = []

    with rule_steps() as steps:

        def note(*said: object) -> None:
            if "FROM notification_limit" in str(said[2]):
                before.append(steps.taken)

        event.listen(windows.database.engine, "before_cursor_execute", note)
        words = windows.write(*changes)
        event.remove(windows.database.engine, "before_cursor_execute", note)
    assert words == ["window" if at.minute < 30 else None for at in moments]
    assert before == [steps.taken]


def test_scopes_that_change_together_are_prepared_together(windows: WindowBench) -> None:
    windows.make()
    at = DAY + timedelta(minutes=90)
    windows.clock.set(at)
    statements: list[str] = []

    def note(*said: object) -> None:
        statements.append(str(said[2]))

    scopes = {
        f"scores/{camera}": [changed(an_incident(f"{camera}/7/1", camera=camera), "opened", at)]
        for camera in ("c1", "c2", "c3")
    }
    event.listen(windows.database.engine, "before_cursor_execute", note)
    assert windows.write_all(scopes) == ["window"] * 3
    event.remove(windows.database.engine, "before_cursor_execute", note)
    asked = [number for number, text in enumerate(statements) if "ORDER BY windows.id" in text]
    locked = [number for number, text in enumerate(statements) if "FROM notification_limit" in text]
    assert len(asked) == 1
    assert asked < locked


def test_a_window_that_is_edited_between_the_two_looks_holds_nothing(windows: WindowBench) -> None:
    window = windows.make()
    at = DAY + timedelta(minutes=90)
    windows.clock.set(at)
    opened = changed(an_incident(), "opened", at)
    with windows.database.transaction() as session:
        words = WindowHolds(timedelta(hours=1)).prepare(session, [opened], at)
        assert words() == ["window"]
        assert windows.store.end(session, window.id, window.version, at) is not None
        assert words() == [None]
