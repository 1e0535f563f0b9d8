"""The items with the lowest ranks of all that were ever added, at a cost of O(log n) each. Pure."""

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class LowestRanks(Generic[T]):
    """At most ``most`` items by name; one that is added over that takes the place of the highest rank."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._items: dict[str, tuple[int, T]] = {}
        self._highest: list[tuple[int, str]] = []  # negative ranks; entries of removed items are passed over

    def add(self, rank: int, name: str, item: T) -> T | None:
        """Add an item whose name is new; return the one that finds no room, which may be this one."""
        self._items[name] = (rank, item)
        heapq.heappush(self._highest, (-rank, name))
        if len(self._items) <= self.most:
            self._forget_removed()
            return None
        while True:
            negative, highest = heapq.heappop(self._highest)
            if self._is_current(negative, highest):
                return self._items.pop(highest)[1]

    def get(self, name: str) -> T | None:
        """Return an item, None when it is not among them."""
        found = self._items.get(name)
        return None if found is None else found[1]

    def remove(self, name: str) -> bool:
        """Take an item out; return whether it was among them."""
        return self._items.pop(name, None) is not None

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[T]:
        return (item for _, item in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def _forget_removed(self) -> None:
        if len(self._highest) > 2 * self.most + 16:
            self._highest = [(-rank, name) for name, (rank, _) in self._items.items()]
            heapq.heapify(self._highest)

    def _is_current(self, negative: int, name: str) -> bool:
        return name in self._items and self._items[name][0] == -negative
