"""The bank's in-memory twin, for tests and for work without servers."""

import threading

from steadyline.bank.entry import BankEntry, BankManifest
from steadyline.clock import Clock, SystemClock
from steadyline.errors import BankUnavailable


class MemoryBank:
    """Keeps every version; claims run out by the clock given."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._manifests: dict[tuple[str, int], BankManifest] = {}
        self._entries: dict[tuple[str, int], list[BankEntry]] = {}
        self._current: dict[str, int] = {}
        self._claims: dict[str, tuple[str, float]] = {}

    def write(self, manifest: BankManifest, entries: list[BankEntry]) -> None:
        key = (manifest.product, manifest.version)
        with self._lock:
            self._manifests[key] = manifest
            self._entries[key] = sorted(entries, key=lambda entry: entry.id)
            self._current[manifest.product] = manifest.version

    def current(self, product: str) -> BankManifest | None:
        with self._lock:
            version = self._current.get(product)
            return None if version is None else self._manifests[product, version]

    def read(self, product: str, version: int, limit: int | None = None) -> list[BankEntry]:
        with self._lock:
            if (product, version) not in self._entries:
                raise BankUnavailable(f"bank v{version} of {product} is not there")
            return list(self._entries[product, version][:limit])

    def claim(self, product: str, owner: str, seconds: float) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            holder = self._claims.get(product)
            if holder is not None and holder[0] != owner and holder[1] > now:
                return False
            self._claims[product] = (owner, now + seconds)
            return True

    def release(self, product: str, owner: str) -> None:
        with self._lock:
            if self._claims.get(product, ("", 0.0))[0] == owner:
                del self._claims[product]
