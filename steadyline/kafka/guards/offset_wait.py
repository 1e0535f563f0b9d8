"""Knows for how long the broker has not told where a group stands on a partition."""

from datetime import timedelta

from kafka import TopicPartition

from steadyline.errors import BrokerUnavailable

LONG = timedelta(seconds=20)  # more than a rebalance, or the end of a transaction of ours, takes
HINT = (
    "a transaction over the group's offsets may be left open, as by a broker whose disk was full: "
    "`kafka-transactions.sh find-hanging` names it, `abort` ends it, or restart the broker"
)


class OffsetWait:
    """Is told of each attempt to learn the committed offsets; nothing of the partition is read before."""

    def __init__(self) -> None:
        self._failing: tuple[TopicPartition, float, BaseException] | None = None

    def failed(self, tp: TopicPartition, error: BaseException, now: float) -> None:
        """Note that the offset of a partition was not told at a moment in seconds."""
        since = self._failing[1] if self._failing is not None else now
        self._failing = (tp, since, error)

    def succeeded(self) -> None:
        """Note that all offsets are known."""
        self._failing = None

    def trouble(self, now: float) -> BrokerUnavailable | None:
        """Return what to say of an offset that has not been told for long, if there is one."""
        if self._failing is None or now - self._failing[1] < LONG.total_seconds():
            return None
        tp, since, error = self._failing
        return BrokerUnavailable(
            f"the committed offset of {tp.topic} {tp.partition} has not been told for {now - since:.0f} s "
            f"({error!r}): {HINT}"
        )
