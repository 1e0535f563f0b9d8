"""Where offsets of the old topics are on the new ones."""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class MovedOffsets:
    """``ids`` and ``former``: topic → its id now, and in the backup; ``packed`` holds the former offsets of
    the partitions whose records lie one behind another now.
    """

    ids: Mapping[str, str]
    former: Mapping[str, str]
    packed: dict[tuple[str, int], "array[int]"] = field(default_factory=dict)

    def is_former(self, topic: str, topic_id: str) -> bool:
        """Tell whether an id is the one that a topic had when the backup was made."""
        return topic in self.ids and self.former.get(topic) == topic_id

    def offset(self, topic: str, partition: int, offset: int) -> int:
        """Return where the first record at or behind a former offset is."""
        packed = self.packed.get((topic, partition))
        return offset if packed is None else bisect_left(packed, offset)
