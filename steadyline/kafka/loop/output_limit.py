"""What becomes of an input whose output no topic takes."""

from collections.abc import Sequence
from typing import Any

from steadyline.errors import ContractBroken, OutputTooLarge
from steadyline.kafka.broker import OutputRefused, Partition
from steadyline.kafka.loop.partition_queue import TakenRecord


class OutputLimit:
    """Finds the record whose output was refused, by committing one at a time until it is found.

    The output is the poison of its input: the input is refused in its place. When even its dead letter is
    refused, the letter is abridged.
    """

    def __init__(self) -> None:
        self._searched = 0  # how many records are still committed one at a time
        self._short: set[tuple[Partition, int]] = set()

    @property
    def is_searching(self) -> bool:
        """True while each transaction is to hold one record."""
        return self._searched > 0

    def is_short(self, entry: TakenRecord[Any]) -> bool:
        """Return True for a refused record whose letter was refused."""
        return (entry.record.partition, entry.record.offset) in self._short

    def committed(self, entries: Sequence[TakenRecord[Any]]) -> None:
        """Note that a transaction of these records went through."""
        self._searched = max(0, self._searched - len(entries))
        self._short.difference_update((entry.record.partition, entry.record.offset) for entry in entries)

    def poison(self, entries: Sequence[TakenRecord[Any]], error: OutputRefused) -> OutputTooLarge | None:
        """Return why the only record of a refused transaction is to be refused itself.

        None means that the same records are to be committed again, as this object now says. Raises
        ContractBroken when not even an abridged letter is taken.
        """
        if len(entries) > 1:
            self._searched = len(entries)
            return None
        (entry,) = entries
        if entry.refusal is None:
            return OutputTooLarge(f"what was made of it is refused for its size: {error}")
        if self.is_short(entry):
            raise ContractBroken(f"not even a short dead letter is taken: {error}; `steadyline topics check`")
        self._short.add((entry.record.partition, entry.record.offset))
        return None
