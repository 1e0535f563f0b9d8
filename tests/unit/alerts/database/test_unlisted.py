"""A line file that lists no cameras takes so many: invented names cannot fill the database."""

from sqlalchemy import func, insert, select

from alerts import metrics
from alerts.database.last_seen import LastSeenStore
from alerts.database.tables import LastScoreRow, LastStatusRow, RuleStateRow
from alerts.database.unlisted import MOST_UNLISTED, PASSED_OVER
from tests.support.alerts_bench import (
    LINE,
    START,
    AlertsBench,
    a_score,
    a_status,
    score_message,
    status_message,
    turns,
)

FREE = LINE.model_copy(update={"cameras": []})


def fill(bench: AlertsBench, kind: str, count: int, content: str = "{}") -> None:
    """Let so many invented cameras have been taken."""
    place = {"content": content, "topic": "t", "partition": 0}
    rows = [{"scope": f"{kind}/x-{n}", **place} for n in range(count)]
    with bench.database().transaction() as session:
        session.execute(insert(RuleStateRow), rows)


def shown(bench: AlertsBench) -> dict[str, int]:
    """Return scope → how many observations the rules were shown, where any."""
    return {scope: len(seen) for scope, seen in bench.seen().items() if seen}


def test_one_more_camera_than_are_taken_is_passed_over_and_counted(bench: AlertsBench) -> None:
    bench.line = FREE
    fill(bench, "scores", MOST_UNLISTED - 2)
    names = ("east-1", "east-2", "east-3", "east-1", "east-3")
    bench.publish(*(score_message(a_score(n, camera)) for n, camera in enumerate(names, 1)))
    counted: list[tuple[float, str]] = []
    metrics.PASSED_OVER.backend = lambda value, labels: counted.append((value, labels["reason"]))
    try:
        turns(bench.process(), 6)
    finally:
        metrics.PASSED_OVER.backend = None
    assert sum(value for value, reason in counted if reason == PASSED_OVER) == 2
    assert shown(bench) == {"scores/east-1": 2, "scores/east-2": 1}
    with bench.database().transaction() as session:
        assert sorted(session.scalars(select(LastScoreRow.camera))) == ["east-1", "east-2"]
        assert session.scalar(select(func.count()).select_from(RuleStateRow)) == MOST_UNLISTED


def test_scores_of_invented_cameras_keep_out_no_statuses(bench: AlertsBench) -> None:
    bench.line = FREE
    fill(bench, "scores", MOST_UNLISTED)
    bench.publish(score_message(a_score(1)), status_message(a_status("east-1", 1)))
    turns(bench.process(), 6)
    assert set(shown(bench)) == {"status/east-1"}


def test_cameras_that_are_listed_are_taken_however_many_others_were(bench: AlertsBench) -> None:
    fill(bench, "scores", MOST_UNLISTED)
    bench.publish(score_message(a_score(1)))
    turns(bench.process(), 6)
    assert set(shown(bench)) == {"scores/east-1"}


def test_no_more_rows_than_that_are_read_where_none_is_listed(bench: AlertsBench) -> None:
    fill(bench, "status", MOST_UNLISTED + 5, content="")
    content = a_status("east-1", 1).model_dump_json()
    rows = [
        {"camera": f"x-{n}", "epoch": 7, "at": START, "content": content} for n in range(MOST_UNLISTED + 5)
    ]
    with bench.database().transaction() as session:
        session.execute(insert(LastStatusRow), rows)
        store = LastSeenStore()
        assert len(store.statuses(session, ())) == MOST_UNLISTED
        assert set(store.statuses(session, ["x-1003", "x-1", "none"])) == {"x-1003", "x-1"}
        assert store.memories(session, ["x-1"]) == {}
