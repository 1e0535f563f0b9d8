"""Which products this trainer serves: expiring leases in Redis give each product one trainer at a time."""

import threading
from collections.abc import Iterable
from datetime import timedelta
from enum import Enum

from steadyline.bank.entry import Bank
from steadyline.clock import Clock
from steadyline.errors import BankUnavailable

LEASE = timedelta(seconds=15)  # after a trainer dies, its products wait this long for another one


class LeaseState(Enum):
    """Whether this trainer holds the lease of a product."""

    HELD = "ours"
    UNKNOWN = "unknown"  # Redis is away and the lease has run out: nothing may be started or announced
    HELD_BY_OTHER = "anothers"


class Leases:
    """Renews the leases of one owner; any thread may ask for their state."""

    def __init__(self, bank: Bank, products: Iterable[str], owner: str, clock: Clock) -> None:
        self._bank, self._owner, self._clock = bank, owner, clock
        self._lock = threading.Lock()
        self._states = dict.fromkeys(products, LeaseState.UNKNOWN)
        self._renewed = dict.fromkeys(self._states, float("-inf"))

    def renew(self) -> bool:
        """Take or renew every product's lease, and return False when Redis is away.

        Call it several times per lease. It stops at the first failure, because each one may cost a time-out
        during which the caller can do nothing else.
        """
        for product in self._states:
            asked = self._clock.monotonic()
            try:
                ours = self._bank.acquire_lease(product, self._owner, LEASE.total_seconds())
            except BankUnavailable:
                return False
            with self._lock:
                self._states[product] = LeaseState.HELD if ours else LeaseState.HELD_BY_OTHER
                self._renewed[product] = asked if ours else float("-inf")
        return True

    def state_of(self, product: str) -> LeaseState:
        """Return the state now; it is UNKNOWN once a lease was not renewed in time."""
        with self._lock:
            state, renewed = self._states[product], self._renewed[product]
        if state is LeaseState.HELD and self._clock.monotonic() - renewed > LEASE.total_seconds():
            return LeaseState.UNKNOWN
        return state

    def release(self) -> None:
        """Give every lease back, so that another trainer need not wait until it expires."""
        for product in self._states:
            try:
                self._bank.release(product, self._owner)
            except BankUnavailable:
                return  # the leases expire by themselves
