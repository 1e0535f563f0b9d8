"""Which products this trainer serves: expiring leases in Redis give each product one trainer at a time."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from enum import Enum

from steadyline.bank.entry import Bank
from steadyline.clock import Clock
from steadyline.errors import BankUnavailable, Transient

LEASE = timedelta(seconds=15)  # after a trainer dies, its products wait this long for another one


class LeaseState(Enum):
    """Whether this trainer holds the lease of a product."""

    HELD = "ours"
    UNKNOWN = "unknown"  # Redis is away and the lease has run out: nothing may be started or announced
    HELD_BY_OTHER = "anothers"


class LeaseLost(Transient):
    """Another trainer may be serving the product, so nothing may be announced or written."""

    reason = "claim_lost"


class Leases:
    """Renews the leases of one owner; any thread may ask for their state."""

    def __init__(self, bank: Bank, products: Iterable[str], owner: str, clock: Clock) -> None:
        self._bank, self._owner, self._clock = bank, owner, clock
        self._lock = threading.Lock()
        self._states = dict.fromkeys(products, LeaseState.UNKNOWN)
        self._renewed = dict.fromkeys(self._states, float("-inf"))
        self._tokens = dict.fromkeys(self._states, 0)
        self._above = dict.fromkeys(self._states, 0)

    def renew(self) -> bool:
        """Take or renew every product's lease, and return False when Redis is away.

        Call it several times per lease. Redis is asked once for all: a slow one must not take longer the more
        products there are.
        """
        try:
            self._renew(self._states)
        except BankUnavailable:
            return False
        return True

    def _renew(self, products: Iterable[str]) -> None:
        asked, above = self._clock.monotonic(), {product: self._above[product] for product in products}
        tokens = self._bank.acquire_leases(above, self._owner, LEASE.total_seconds())
        with self._lock:
            for product, token in tokens.items():
                self._states[product] = LeaseState.HELD if token else LeaseState.HELD_BY_OTHER
                self._renewed[product] = asked if token else float("-inf")
                self._tokens[product] = token or self._tokens[product]

    def state_of(self, product: str) -> LeaseState:
        """Return the state now; it is UNKNOWN once a lease was not renewed in time."""
        with self._lock:
            state, renewed = self._states[product], self._renewed[product]
        if state is LeaseState.HELD and self._clock.monotonic() - renewed > LEASE.total_seconds():
            return LeaseState.UNKNOWN
        return state

    def token_of(self, product: str) -> int:
        """Return the fencing token of the last time that the lease was taken; 0 when it never was.

        It goes into all that is written on the strength of the lease. A process that is frozen at the moment
        of writing and wakes up without the lease then writes what everybody can tell for stale.
        """
        with self._lock:
            return self._tokens[product]

    def token_above(self, product: str, seen: int) -> int:
        """Return our token when it is not smaller than the one ``seen``; otherwise as ``require`` does."""
        token = self.token_of(product)
        return token if token >= seen else self.require(product, seen)

    def require(self, product: str, seen: int) -> int:
        """Return the fencing token of a lease that is held, made greater than any other holder's.

        ``seen`` is the greatest token found in what was written before. It is greater than ours only after
        Redis has lost the count. Raises LeaseLost when the lease is not held, or BankUnavailable.
        """
        if self.state_of(product) is LeaseState.HELD and self.token_of(product) < seen:
            self._above[product] = seen
            self._renew([product])
        if self.state_of(product) is not LeaseState.HELD:
            raise LeaseLost(f"the lease on {product} is not ours any more")
        return self.token_of(product)

    def release(self) -> None:
        """Give every lease back, so that another trainer need not wait until it expires."""
        with suppress(BankUnavailable):  # the leases expire by themselves
            self._bank.release_leases(self._states, self._owner)
