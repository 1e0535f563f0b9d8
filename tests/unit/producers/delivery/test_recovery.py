"""The books of a killed run are closed from what was noted, what is on the topic and what is in the spool."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.accounting.epoch_folder import EpochFolder, EpochState, left_behind
from producers.accounting.ledger import Ledger
from producers.delivery.recovery import reconcile

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
