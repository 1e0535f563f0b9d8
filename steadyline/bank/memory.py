"""The in-memory twin of the bank, for tests and for work without servers."""

import math
import threading
from collections.abc import Iterable, Mapping

from steadyline.bank.entry import OLD_SECONDS, BankEntry, BankLost, BankManifest, check_whole
from steadyline.clock import Clock, SystemClock
from steadyline.contracts.message import MOST_EXACT


class MemoryBank:
    """A bank in memory, whose old versions and leases expire by the given clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._banks: dict[tuple[str, int], tuple[BankManifest, list[BankEntry]]] = {}
        self._ends: dict[tuple[str, int], float] = {}
        self._current: dict[str, int] = {}
        self._claims: dict[str, tuple[str | None, float]] = {}
        self._tokens: dict[str, int] = {}

    def write(self, manifest: BankManifest, entries: list[BankEntry]) -> None:
        check_whole(manifest, entries)
        key = (manifest.product, manifest.version)
        with self._lock:
            old = self._current.get(manifest.product)
            if old is not None and old != manifest.version:
                self._ends[manifest.product, old] = self._clock.monotonic() + OLD_SECONDS
            self._ends.pop(key, None)
            self._banks[key] = manifest, sorted(entries, key=lambda entry: entry.id)
            self._current[manifest.product] = manifest.version

    def current(self, product: str) -> BankManifest | None:
        with self._lock:
            version = self._current.get(product)
            return None if version is None else self._banks[product, version][0]

    def read(self, product: str, version: int, limit: int | None = None) -> list[BankEntry]:
        key = (product, version)
        with self._lock:
            if key not in self._banks or self._ends.get(key, math.inf) <= self._clock.monotonic():
                raise BankLost(f"bank v{version} of {product} is not there")
            return self._banks[key][1][:limit]

    def acquire_leases(self, products: Mapping[str, int], owner: str, seconds: float) -> dict[str, int]:
        with self._lock:
            return {
                product: self._acquire(product, owner, seconds, products[product]) for product in products
            }

    def _acquire(self, product: str, owner: str, seconds: float, above: int) -> int:
        now = self._clock.monotonic()
        holder, end = self._claims.get(product, (None, now))
        if holder != owner and end > now:
            return 0
        token = self._tokens.get(product, 0)
        if end <= now or token <= above:
            token = min(max(token, above) + 1, MOST_EXACT)
        self._tokens[product], self._claims[product] = token, (owner, now + seconds)
        return token

    def holder(self, product: str) -> str | None:
        with self._lock:
            owner, end = self._claims.get(product, ("", 0.0))
            return owner if end > self._clock.monotonic() else None

    def release_leases(self, products: Iterable[str], owner: str) -> None:
        with self._lock:
            for product in products:
                if self._claims.get(product, ("", 0.0))[0] == owner:
                    del self._claims[product]
