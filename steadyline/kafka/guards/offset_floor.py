"""What a process knows of its group's committed offsets, against a broker that has forgotten some.

A broker that was killed may tell, when it has come back, offsets of long before (decision 22). What a
transaction of ours has committed stays committed, whatever the broker tells.
"""

from kafka import TopicPartition

from steadyline.kafka import metrics
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


class OffsetFloor:
    """The greatest offset of each partition that this process committed, or was told, in its lifetime."""

    def __init__(self) -> None:
        self._known: dict[tuple[TopicPartition, str], int] = {}

    def note(self, tp: TopicPartition, topic_id: str, offset: int) -> None:
        """Remember an offset that the group has committed on the topic of this id."""
        place = tp, topic_id
        self._known[place] = max(offset, self._known.get(place, 0))

    def at_least(self, tp: TopicPartition, topic_id: str, told: int | None) -> int | None:
        """Return what the broker tells, or what is known to be later; the second is said and counted."""
        known = self._known.get((tp, topic_id))
        if known is None or (told is not None and told >= known):
            return told
        metrics.OFFSETS_WENT_BACK.add(1, topic=tp.topic)
        log.error(
            "offset_went_back",
            topic=tp.topic,
            partition=tp.partition,
            told=told,
            known=known,
            error="the broker tells an offset before one that was committed: reading goes on behind that one",
        )
        return known
