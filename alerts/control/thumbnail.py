"""Small pictures for overviews, made from evidence and kept for a while."""

import threading
from collections import OrderedDict
from datetime import timedelta

from alerts.evidence import EvidenceReader
from steadyline.clock import Clock
from steadyline.contracts.evidence import EvidenceKey
from steadyline.errors import PoisonMessage, StoreUnavailable, Transient
from steadyline.line import Line
from steadyline.picture import PictureLimits, inspect, thumbnail

SIDE = 160  # pixels of the longer side
MOST_WAITING = 8  # threads of the API, the one that makes a picture among them
PATIENCE = timedelta(seconds=5)  # of each of the others
FAILURE_KEPT = timedelta(minutes=1)
_KEPT = 512  # of some 5 KB each


class ThumbnailsBusy(Transient):
    """Others wait for small pictures already, and the store or the decoder is slow."""

    reason = "thumbnails_busy"


class Thumbnails:
    """Makes small JPEGs, one at a time, since one may cost a second; safe from any thread.

    What is kept already is given out beside that. What failed fails again for a minute without a look at the
    store, and few wait at once: a store that hangs holds up nothing but small pictures.
    """

    def __init__(
        self, evidence: EvidenceReader, line: Line, clock: Clock, patience: timedelta = PATIENCE
    ) -> None:
        self._evidence, self._line, self._clock = evidence, line, clock
        self._patience = patience.total_seconds()
        self._places = threading.BoundedSemaphore(MOST_WAITING)
        self._making = threading.Lock()
        self._lock = threading.Lock()  # of the two below, and never held for long
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._failed: OrderedDict[str, tuple[float, StoreUnavailable | None]] = OrderedDict()

    def make(self, key: EvidenceKey, product: str) -> bytes | None:
        """Return the small picture; None where there is none, or none that the product's limits allow.

        Raises StoreUnavailable and ThumbnailsBusy.
        """
        is_known, small = self._known(str(key))
        if is_known:
            return small
        if not self._places.acquire(blocking=False):
            raise ThumbnailsBusy("as many as may be are waiting for small pictures")
        try:
            return self._make_in_turn(key, product)
        finally:
            self._places.release()

    def _make_in_turn(self, key: EvidenceKey, product: str) -> bytes | None:
        if not self._making.acquire(timeout=self._patience):
            raise ThumbnailsBusy("another small picture takes long")
        try:
            is_known, small = self._known(str(key))  # by whoever had its turn before
            if is_known:
                return small
            try:
                made = self._made(key, product)
            except StoreUnavailable as error:
                self._note(str(key), error)
                raise
            self._note(str(key), made)
            return made
        finally:
            self._making.release()

    def _known(self, name: str) -> tuple[bool, bytes | None]:
        """Return whether the outcome is known, and what it is; raises StoreUnavailable if that is it."""
        with self._lock:
            known = self._kept.get(name)
            if known is not None:
                self._kept.move_to_end(name)
                return True, known
            until, failure = self._failed.get(name, (0.0, None))
            if self._clock.monotonic() >= until:
                return False, None
        if failure is not None:
            raise StoreUnavailable(str(failure))
        return True, None

    def _note(self, name: str, outcome: bytes | StoreUnavailable | None) -> None:
        with self._lock:
            if isinstance(outcome, bytes):
                self._kept[name] = outcome
            else:
                until = self._clock.monotonic() + FAILURE_KEPT.total_seconds()
                self._failed[name] = (until, outcome)
                self._failed.move_to_end(name)
            for kept in (self._kept, self._failed):
                if len(kept) > _KEPT:
                    kept.popitem(last=False)

    def _made(self, key: EvidenceKey, product: str) -> bytes | None:
        section = self._line.products.get(product)
        data = self._evidence.read(key)
        if section is None or data is None:
            return None
        limits = PictureLimits(section.picture.max_bytes, section.picture.max_pixels)
        try:
            return thumbnail(data, inspect(data, limits), SIDE)
        except PoisonMessage:
            return None
