"""The identity captured = published + dropped + pending holds whatever happens."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from producers.accounting.account import Balance, EpochAccount
from producers.accounting.ranges import SequenceRanges

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def assert_identity(balance: Balance) -> None:
    assert balance.captured == balance.published + sum(balance.dropped.values()) + balance.pending
    assert sum(last - first + 1 for first, last, _ in balance.dropped_sequences) == sum(
        balance.dropped.values()
    )


@given(st.lists(st.tuples(st.sampled_from("cpd"), st.integers(1, 30), st.sampled_from(["a", "b"]))))
def test_the_identity_holds_after_every_step(steps: list[tuple[str, int, str]]) -> None:
    account = EpochAccount()
    for step, sequence, reason in steps:
        if step == "c":
            account.capture(NOON)
        elif step == "p":
            account.publish(sequence)
        else:
            account.drop(sequence, reason)
        assert_identity(account.balance())


def test_a_frame_has_one_fate() -> None:
    account = EpochAccount()
    account.capture(NOON)
    assert account.drop(1, "stopped")
    assert not account.publish(1)
    assert not account.drop(1, "stopped")
    assert not account.publish(2)
    assert account.balance().published == 0


def test_the_oldest_open_frame_is_known() -> None:
    account = EpochAccount()
    assert account.balance().oldest_pending == 1
    for _ in range(3):
        account.capture(NOON)
    account.publish(1)
    account.publish(3)
    assert (account.balance().oldest_pending, account.balance().oldest_pending_at) == (2, NOON)
    account.drop(2, "stopped")
    assert (account.balance().oldest_pending, account.balance().oldest_pending_at) == (4, None)


def test_a_restored_account_goes_on() -> None:
    account = EpochAccount.restore(10, SequenceRanges([(2, 3, "spool_full")]), {9: NOON, 10: NOON})
    assert account.balance().published == 6
    account.publish(9)
    account.drop(10, "producer_killed")
    balance = account.balance()
    assert_identity(balance)
    assert balance.dropped == {"spool_full": 2, "producer_killed": 1}


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["a", "b"])), unique_by=lambda item: item[0]))
def test_runs_are_sorted_merged_and_complete(items: list[tuple[int, str]]) -> None:
    runs = SequenceRanges()
    for sequence, reason in items:
        runs.add(sequence, reason)
    expanded = {
        (sequence, reason) for first, last, reason in runs.as_list() for sequence in range(first, last + 1)
    }
    assert expanded == set(items)
    assert runs.as_list() == sorted(runs.as_list())
    for (_, last, reason), (first, _, other) in zip(runs.as_list(), runs.as_list()[1:], strict=False):
        assert last + 1 < first or reason != other
    for sequence in range(1, 42):
        assert (sequence in runs) == any(item[0] == sequence for item in items)
