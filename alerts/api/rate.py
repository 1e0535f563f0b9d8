"""How often somebody may ask: a bucket of tokens for each key."""

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass

from steadyline.clock import Clock

MOST_KEYS = (
    10_000  # of one limiter; a key that was not seen for longest is forgotten, its bucket is full by then
)


@dataclass(frozen=True, slots=True)
class RequestRate:
    """So many requests a second in the long run, and at most ``burst`` at once."""

    per_second: float
    burst: int


class RateLimiter:
    """Counts the requests of each key; safe from any thread."""

    def __init__(self, rate: RequestRate, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and as of when

    def take(self, key: str) -> float:
        """Count a request; returns 0 when it may go on, otherwise the seconds until one may."""
        now = self._clock.monotonic()
        with self._lock:
            left, since = self._buckets.pop(key, (float(self._rate.burst), now))
            left = min(float(self._rate.burst), left + (now - since) * self._rate.per_second)
            is_allowed = left >= 1
            self._buckets[key] = (left - 1 if is_allowed else left, now)
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
        return 0.0 if is_allowed else (1 - left) / self._rate.per_second


def address_key(host: str) -> str:
    """Return what counts as one address: of IPv6 a network of 64 bits, which one host has to itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)
