"""Which products this trainer serves: one live trainer a product, by claims in Redis that run out."""

import threading
from collections.abc import Iterable
from datetime import timedelta
from enum import Enum

from steadyline.bank.entry import Bank
from steadyline.clock import Clock
from steadyline.errors import BankUnavailable

LEASE = timedelta(seconds=15)  # a dead trainer's products wait this long for another one


class Standing(Enum):
    """Where this trainer stands with a product."""

    OURS = "ours"
    UNKNOWN = "unknown"  # Redis is away and the lease has run out: start nothing, announce nothing
    ANOTHERS = "anothers"


class Claims:
    """Renews the claims of one owner; safe to ask from any thread."""

    def __init__(self, bank: Bank, products: Iterable[str], owner: str, clock: Clock) -> None:
        self._bank, self._owner, self._clock = bank, owner, clock
        self._lock = threading.Lock()
        self._standing = dict.fromkeys(products, Standing.UNKNOWN)
        self._renewed = dict.fromkeys(self._standing, float("-inf"))

    def renew(self) -> bool:
        """Take or renew every product's claim; call it several times a lease. False while Redis is away.

        It gives up at the first one: each could cost a time-out, and meanwhile the caller does nothing else.
        """
        for product in self._standing:
            asked = self._clock.monotonic()
            try:
                ours = self._bank.claim(product, self._owner, LEASE.total_seconds())
            except BankUnavailable:
                return False
            with self._lock:
                self._standing[product] = Standing.OURS if ours else Standing.ANOTHERS
                self._renewed[product] = asked if ours else float("-inf")
        return True

    def standing(self, product: str) -> Standing:
        """Return where we stand now; a claim that was not renewed within its lease is unknown."""
        with self._lock:
            standing, renewed = self._standing[product], self._renewed[product]
        if standing is Standing.OURS and self._clock.monotonic() - renewed > LEASE.total_seconds():
            return Standing.UNKNOWN
        return standing

    def release(self) -> None:
        """Give every claim back, so that another trainer need not wait for the lease."""
        for product in self._standing:
            try:
                self._bank.release(product, self._owner)
            except BankUnavailable:
                return  # it runs out by itself
