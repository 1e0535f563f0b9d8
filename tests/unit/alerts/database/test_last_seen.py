"""The newest of each camera and product is what was newest, each score counted once, on both databases."""

from datetime import timedelta

from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.last_seen import LastSeenStore, note_seen
from alerts.incidents.observation import ModelSeen, ScoreSeen, StatusSeen
from steadyline.contracts.score import Score
from tests.support.alerts_bench import START, AlertsBench, a_score, a_status, score_message, turns
from tests.support.model_history import a_history

STORE = LastSeenStore()


def see(session: Session, *scores: Score) -> None:
    note_seen(session, [ScoreSeen(score, None) for score in scores])


def test_scores_are_counted_over_transactions_and_the_newest_is_kept(database: Database) -> None:
    for batch in ((a_score(1), a_score(2, "east-2")), (a_score(3), a_score(2)), (a_score(4),)):
        with database.transaction() as session:
            see(session, *batch)
    with database.transaction() as session:
        found = STORE.scores(session, ())
    assert {name: (one.scored, one.last.frame) for name, one in found.items()} == {
        "east-1": (4, "east-1/7/4"),
        "east-2": (1, "east-2/7/2"),
    }


def test_a_new_run_counts_anew_and_one_of_before_does_not_come_back(database: Database) -> None:
    with database.transaction() as session:
        see(session, a_score(5), a_score(6))
        see(session, a_score(1, frame="east-1/8/1"))
        see(session, a_score(7))
        found = STORE.score(session, "east-1")
    assert found is not None
    assert (found.epoch, found.scored, found.last.frame) == (8, 1, "east-1/8/1")


def test_the_last_kept_picture_stays_while_later_frames_keep_none(database: Database) -> None:
    with database.transaction() as session:
        see(session, a_score(1, picture_uri="file:///a"), a_score(2))
        see(session, a_score(3))
        see(session, a_score(2, picture_uri="file:///late"))
        found = STORE.score(session, "east-1")
        assert found is not None
        assert found.picture is not None
        assert found.picture.uri == "file:///a"
        see(session, a_score(4, picture_uri="file:///b"))
        found = STORE.score(session, "east-1")
    assert found is not None
    assert found.picture is not None
    assert (found.picture.uri, found.picture.frame) == ("file:///b", "east-1/7/4")


def test_the_newest_status_stays_and_its_runs_are_not_kept(database: Database) -> None:
    whole = a_status("east-1", 9).model_copy(
        update={"sequence": 2, "captured": 2, "dropped": {"old": 2}, "dropped_sequences": [(1, 2, "old")]}
    )
    with database.transaction() as session:
        note_seen(session, [StatusSeen(a_status("east-1", 5, "dark")), StatusSeen(whole)])
        note_seen(session, [StatusSeen(a_status("east-1", 8, "down"))])
        found = STORE.statuses(session, ())
    assert found["east-1"].at == START + timedelta(seconds=9)
    assert (found["east-1"].dropped, found["east-1"].dropped_sequences) == ({"old": 2}, [])


def test_models_are_those_of_the_newest_event(database: Database) -> None:
    with database.transaction() as session:
        note_seen(session, [ModelSeen(a_history(1))])
        note_seen(session, [ModelSeen(a_history(1, 2).model_copy(update={"commands_until": 9}))])
        found = STORE.models(session)
        assert STORE.commands_until(session, "cell") == 9
        assert STORE.commands_until(session, "none") == 0
    assert [(model.version, model.state) for model in found["cell"].models] == [(1, "retired"), (2, "live")]
    assert found["cell"].models[1].thresholds == {"c0": 1.0, "c1": 1.0}


def test_a_score_that_is_read_again_is_not_counted_again(bench: AlertsBench) -> None:
    bench.publish(*(score_message(a_score(n)) for n in range(1, 8)))
    turns(bench.process())
    turns(bench.process("b"))
    with bench.database().transaction() as session:
        found = STORE.score(session, "east-1")
    assert found is not None
    assert found.scored == 7
