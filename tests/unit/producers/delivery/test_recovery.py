"""The books of a killed run are closed from what was noted, what is on the topic and what is in the spool."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.accounting.epoch_folder import EpochFolder, EpochState, left_behind
from producers.accounting.ledger import Ledger
from producers.accounting.proof import HEADER, proof_of
from producers.delivery.connection import LazyPublisher
from producers.delivery.published import PublishedFrames
from producers.delivery.recovery import Recovery, reconcile
from producers.delivery.spool import Spool
from steadyline.clock import ManualClock
from steadyline.contracts.frame import Frame, FrameId
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import Line

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATE = EpochState(line="l", camera="c", product="p", epoch=5, since=NOON)


def test_what_was_neither_published_nor_spooled_was_lost_by_the_kill() -> None:
    state = STATE.model_copy(
        update={"captured": 8, "oldest_pending": 6, "dropped_sequences": [(2, 2, "drop_oldest")]}
    )
    account, pending = reconcile(state, 10, {6, 8}, set())
    balance = account.balance()
    assert (balance.captured, balance.published, balance.pending) == (10, 6, 0)
    assert balance.dropped == {"drop_oldest": 1, "producer_killed": 3}
    assert balance.dropped_sequences == [
        (2, 2, "drop_oldest"),
        (7, 7, "producer_killed"),
        (9, 10, "producer_killed"),
    ]
    assert pending == set()


def test_a_spooled_frame_that_the_broker_has_is_not_sent_again() -> None:
    account, pending = reconcile(STATE, 4, {1, 2}, {1, 2, 3})
    assert pending == {3}
    assert account.balance().dropped == {"producer_killed": 1}
    assert account.balance().published == 2


def test_a_frame_on_the_topic_counts_even_when_nothing_was_noted() -> None:
    account, _ = reconcile(STATE, 0, {1, 2, 3}, set())
    assert (account.balance().captured, account.balance().published) == (3, 3)


def test_a_run_that_was_told_to_stop_has_its_own_reason() -> None:
    account, _ = reconcile(STATE.model_copy(update={"closing": "stopped"}), 2, set(), set())
    assert account.balance().dropped == {"stopped": 2}


@given(
    st.integers(0, 20),
    st.sets(st.integers(1, 20)),
    st.sets(st.integers(1, 20)),
    st.integers(1, 21),
)
def test_the_identity_holds_for_every_kill(
    captured: int, published: set[int], spooled: set[int], oldest: int
) -> None:
    state = STATE.model_copy(update={"captured": captured, "oldest_pending": min(oldest, captured + 1)})
    balance = reconcile(state, captured, published, spooled)[0].balance()
    assert balance.captured == balance.published + sum(balance.dropped.values()) + balance.pending


def test_numbers_of_any_size_cost_no_time() -> None:
    huge = 1 << 62
    state = STATE.model_copy(update={"captured": 8, "dropped_sequences": [(3, huge >> 1, "spool_full")]})
    account, pending = reconcile(state, huge, {1, 2, huge - 5}, {huge - 3})
    balance = account.balance()
    assert (balance.captured, balance.published, pending) == (huge, 3, {huge - 3})
    assert balance.dropped_sequences == [
        (3, huge >> 1, "spool_full"),
        ((huge >> 1) + 1, huge - 6, "producer_killed"),
        (huge - 4, huge - 4, "producer_killed"),
        (huge - 2, huge, "producer_killed"),
    ]


def test_an_epoch_knows_its_own_frames_by_their_proof_also_in_the_next_run(tmp_path: Path) -> None:
    folder, other = EpochFolder(tmp_path / "7"), EpochFolder(tmp_path / "8")
    frame, later = FrameId("c", 7, 3), FrameId("c", 7, 4)
    proof = (HEADER, proof_of(frame, folder.secret))
    (again, _) = left_behind(tmp_path)
    assert again.is_own(frame, [("ce_id", b"c/7/3"), proof])
    for headers in (
        [],
        [proof, proof],
        [(HEADER, None)],
        [(HEADER, b"")],
        [(HEADER, proof[1][:-1])],
        [(HEADER, proof[1] + b"0")],
        [(HEADER, proof_of(later, folder.secret))],
        [(HEADER, proof_of(frame, other.secret))],
        [(HEADER, proof_of(frame, b""))],
        [("Proof", proof[1])],
    ):
        assert not again.is_own(frame, headers)
    assert not again.is_own(later, [proof])


def test_of_an_epoch_of_an_earlier_release_no_more_frames_are_believed_than_were_captured(
    tmp_path: Path,
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "captured").write_bytes((5).to_bytes(8, "little"))
    folder = EpochFolder(tmp_path / "7")
    assert folder.noted_captured == 5
    assert folder.is_own(FrameId("c", 7, 5), [])
    assert not folder.is_own(FrameId("c", 7, 6), [])


def test_the_folder_of_an_epoch_remembers_every_capture(tmp_path: Path) -> None:
    folder = EpochFolder(tmp_path / "7")
    folder.save(STATE.model_copy(update={"captured": 2}))
    folder.note_captured(5)
    (again,) = left_behind(tmp_path)
    assert again.epoch == 7
    assert again.load() == (STATE.model_copy(update={"captured": 2}), 5)
    again.remove()
    assert left_behind(tmp_path) == []


def test_a_damaged_account_says_so_and_keeps_the_number_of_captures(tmp_path: Path) -> None:
    folder = EpochFolder(tmp_path / "7")
    folder.note_captured(5)
    with pytest.raises(ValueError, match="account"):
        folder.load()
    (tmp_path / "7" / "account.json").write_text('{"line": 3}')
    with pytest.raises(ValueError, match="account"):
        folder.load()
    assert folder.noted_captured == 5


def test_a_clock_set_back_still_begins_a_later_epoch(tmp_path: Path) -> None:
    future = 1 << 62
    (tmp_path / str(future)).mkdir()
    assert Ledger("l", "c", "p", tmp_path).open(NOON).epoch == future + 1


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=2), timedelta(days=-20_000)])
def test_what_a_run_with_a_wrong_clock_has_published_is_found(tmp_path: Path, ahead: timedelta) -> None:
    """The topic goes by the broker's clock; the account knows how far that was from the run's own."""
    broker, line = MemoryBroker(ManualClock(NOON)), Line.model_validate({"line": "l", "products": {"p": {}}})
    topics = line.kafka_topics()
    broker.create_topics(list(topics))
    folder = EpochFolder(tmp_path / "5")
    error = -ahead.total_seconds()
    state = {"captured": 3, "since": NOON + ahead, "clock_error": error}
    folder.save(STATE.model_copy(update=state))
    for sequence in (1, 2, 3):
        frame = Frame(FrameId("c", 5, sequence), "l", "p", NOON + ahead, "image/png", b"picture")
        headers = (*frame.headers(), (HEADER, proof_of(frame.id, folder.secret)))
        message = Message(topics.frames.name, b"c", frame.picture, headers)
        broker.publisher("p").publish(message, lambda _error: None)
    moment = (NOON + ahead).timestamp()
    for path in [*folder.path.iterdir(), folder.path]:
        os.utime(path, (moment, moment))
    ledger = Ledger("l", "c", "p", tmp_path)
    recovery = Recovery(
        left_behind(tmp_path),
        ledger,
        Spool("c", tmp_path, 1 << 20, ledger.drop),
        PublishedFrames(topics.frames.name),
    )
    recovery.run(LazyPublisher(broker, "p", line, 1 << 20, ManualClock(NOON)))
    (epoch,) = ledger.open_epochs
    balance = epoch.account.balance()
    assert (balance.captured, balance.published, balance.dropped) == (3, 3, {})
