"""The database's offset wins: a partition of which the group has committed more is read again from there."""

from collections.abc import Collection, Sequence
from typing import Any

from alerts import metrics
from alerts.database.ingest import Ingest, Taken
from steadyline.kafka.broker import Broker, Partition, Worker
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


class Rewind:
    """Looks at each partition once, before its first record is written; used from the loop's thread.

    A group is ahead when a database was restored from a backup, or begins anew. When it is behind there is
    nothing to do: what is read again is passed over.
    """

    def __init__(self, broker: Broker, group: str, worker: Worker, ingest: Ingest[Any]) -> None:
        self._broker, self._group, self._worker, self._ingest = broker, group, worker, ingest
        self._looked_at: set[Partition] = set()

    def is_needed(self, entries: Sequence[Taken]) -> bool:
        """Return True when these records must not be written, because others before them are missing.

        The group's offset has been moved then, if the group allows it now, and everything is to be read again
        from there. Raises StoreUnavailable or BrokerUnavailable.
        """
        firsts: dict[Partition, int] = {}
        for entry in entries:
            firsts.setdefault(entry.record.partition, entry.record.offset)
        new = {place: offset for place, offset in firsts.items() if place not in self._looked_at}
        if not new:
            return False
        known = self._ingest.positions(new)
        ahead = [place for place, offset in new.items() if offset > known[place]]
        moved = [place for place in ahead if self._is_rewound(place, known[place])] if ahead else []
        if moved:
            return True
        self._looked_at |= new.keys()
        return False

    def stands_at(self, place: Partition) -> int:
        """Return where the group stands: what it has committed, or the first offset that is kept.

        Raises BrokerUnavailable.
        """
        committed = self._broker.committed_offsets(self._group).get(place)
        return self._first_kept(place) if committed is None else committed

    def forget(self, lost: Collection[Partition]) -> None:
        """Forget partitions that came or went."""
        self._looked_at.difference_update(lost)

    def _is_rewound(self, place: Partition, known: int) -> bool:
        """Move the group to ``known`` when it has committed more; between two records lie markers too."""
        committed = self.stands_at(place)
        target = max(known, self._first_kept(place))
        if committed <= target:
            return False
        log.warning("rewound", topic=place.topic, partition=place.number, committed=committed, to=target)
        metrics.REWOUND.add(1, topic=place.topic)
        self._worker.mark(place, target, "")
        return True

    def _first_kept(self, place: Partition) -> int:
        return self._broker.start_offsets([place.topic])[place]
