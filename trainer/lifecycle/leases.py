"""Which products this trainer serves: one live trainer a product, by leases in Redis that expire."""

import threading
from collections.abc import Iterable
from datetime import timedelta
from enum import Enum

from steadyline.bank.entry import Bank
from steadyline.clock import Clock
from steadyline.errors import BankUnavailable

LEASE = timedelta(seconds=15)  # a dead trainer's products wait this long for another one


class LeaseState(Enum):
    """Where this trainer stands with a product."""

    HELD = "ours"
    UNKNOWN = "unknown"  # Redis is away and the lease has run out: start nothing, announce nothing
    HELD_BY_OTHER = "anothers"


class Leases:
    """Renews the leases of one owner; safe to ask from any thread."""

    def __init__(self, bank: Bank, products: Iterable[str], owner: str, clock: Clock) -> None:
        self._bank, self._owner, self._clock = bank, owner, clock
        self._lock = threading.Lock()
        self._states = dict.fromkeys(products, LeaseState.UNKNOWN)
        self._renewed = dict.fromkeys(self._states, float("-inf"))

    def renew(self) -> bool:
        """Take or renew every product's lease; call it several times a lease. False while Redis is away.

        It gives up at the first one: each could cost a time-out, and meanwhile the caller does nothing else.
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
        """Return where we stand now; a lease that was not renewed within its lease is unknown."""
        with self._lock:
            state, renewed = self._states[product], self._renewed[product]
        if state is LeaseState.HELD and self._clock.monotonic() - renewed > LEASE.total_seconds():
            return LeaseState.UNKNOWN
        return state

    def release(self) -> None:
        """Give every lease back, so that another trainer need not wait for the lease."""
        for product in self._states:
            try:
                self._bank.release(product, self._owner)
            except BankUnavailable:
                return  # it runs out by itself
