"""The books of one camera: one book an epoch, its account in memory and on disk."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from producers import metrics
from producers.accounting.account import Account
from producers.accounting.epoch_folder import EpochFolder, EpochState, state_since
from steadyline.contracts.camera_status import CameraState, CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.telemetry.logs import get_logger

# A status lists every dropped run, 10,000 at most. Long before that (40 KB of JSON a second) the epoch ends
# and the next begins, so that no account is ever cut short.
MAX_RUNS = 1_000

log = get_logger(__name__)


class Book:
    """One epoch of one camera. ``closing`` says why it takes no more captures."""

    def __init__(self, state: EpochState, account: Account, folder: EpochFolder) -> None:
        self.line = state.line
        self.camera = state.camera
        self.product = state.product
        self.epoch = state.epoch
        self.closing = state.closing
        self.state_counts = dict(state.state_counts)
        self.account = account
        self.folder = folder

    @property
    def is_settled(self) -> bool:
        """True when the fate of every frame is known and no more will come."""
        return self.closing is not None and not self.account.pending

    def status(self, state: CameraState, reason: str, now: datetime) -> CameraStatus:
        """Return the message for this moment; its identity holds."""
        balance = self.account.balance()
        return CameraStatus(
            camera=self.camera,
            product=self.product,
            epoch=self.epoch,
            at=now,
            state=state,
            reason=reason,
            sequence=balance.captured,
            captured=balance.captured,
            published=balance.published,
            pending=balance.pending,
            dropped=balance.dropped,
            dropped_sequences=balance.dropped_sequences,
            state_counts=dict(self.state_counts),
        )

    def save(self, now: datetime) -> None:
        """Write the account to disk. A full disk is logged: the older account stays, and stays true."""
        balance = self.account.balance()
        state = EpochState(
            line=self.line,
            camera=self.camera,
            product=self.product,
            epoch=self.epoch,
            captured=balance.captured,
            oldest_pending=balance.oldest_pending,
            since=state_since(balance.oldest_pending_at, now),
            dropped_sequences=balance.dropped_sequences,
            state_counts=dict(self.state_counts),
            closing=self.closing,
        )
        try:
            self.folder.save(state)
        except OSError as error:
            log.warning("account_unsaved", camera=self.camera, error=str(error))


class Ledger:
    """All open books of one camera; the newest takes the captures."""

    def __init__(self, line: str, camera: str, product: str, folder: Path) -> None:
        self.camera = camera
        self._line = line
        self._product = product
        self._path = folder
        self._lock = threading.Lock()
        self._books: dict[int, Book] = {}
        self._current: Book | None = None

    @property
    def books(self) -> list[Book]:
        """Open books, oldest first."""
        with self._lock:
            return [self._books[epoch] for epoch in sorted(self._books)]

    @property
    def current(self) -> Book | None:
        """The book that takes captures; None before the first and after the end."""
        return self._current

    def blank_state(self, epoch: int, since: datetime) -> EpochState:
        """Return the state of an epoch of which nothing is known yet."""
        return EpochState(
            line=self._line, camera=self.camera, product=self._product, epoch=epoch, since=since
        )

    def add(self, book: Book) -> None:
        """Take over the book of an earlier run."""
        with self._lock:
            self._books[book.epoch] = book

    def open(self, now: datetime) -> Book:
        """Begin a new epoch. Raises OSError when the disk refuses."""
        with self._lock:
            # A clock that was set back must not begin an epoch before one that is still open.
            known = [int(path.name) for path in self._path.glob("*") if path.name.isdigit()]
            epoch = max(time.time_ns(), *(taken + 1 for taken in (*self._books, *known)), 1)
            state = self.blank_state(epoch, now)
            folder = EpochFolder(self._path / str(epoch))
            folder.save(state)
            self._books[epoch] = self._current = Book(state, Account(), folder)
            return self._current

    def capture(self, at: datetime) -> FrameId:
        """Give the next captured frame its id; begins a new epoch when the old one is full."""
        book = self._current or self.open(at)
        if book.account.dropped_runs >= MAX_RUNS:
            book.closing = "rotated"
            counts = book.state_counts
            book = self.open(at)
            book.state_counts.update(counts)
        sequence = book.account.capture(at)
        try:
            book.folder.note_captured(sequence)
        except OSError as error:
            log.warning("captured_unsaved", camera=self.camera, error=str(error))
        metrics.CAPTURED.add(camera=self.camera)
        return FrameId(self.camera, book.epoch, sequence)

    def publish(self, frame: FrameId) -> None:
        """Note that the broker has the frame."""
        self._on(frame, lambda book: book.account.publish(frame.sequence), metrics.PUBLISHED.add)

    def drop(self, frame: FrameId, reason: str) -> None:
        """Note that the frame will never be published, and why."""
        self._on(
            frame,
            lambda book: book.account.drop(frame.sequence, reason),
            lambda camera: metrics.DROPPED.add(camera=camera, reason=reason),
        )

    def enter(self, reason: str) -> None:
        """Count that the camera entered a state for ``reason``."""
        book = self._current
        if book is not None:
            book.state_counts[reason] = book.state_counts.get(reason, 0) + 1

    def close(self, why: str) -> None:
        """No more captures will come."""
        if self._current is not None:
            self._current.closing = why
        self._current = None

    def forget(self, book: Book) -> None:
        """The final account is acknowledged: nothing of it need be kept."""
        with self._lock:
            self._books.pop(book.epoch, None)
        book.folder.remove()

    def _on(self, frame: FrameId, change: Callable[[Book], bool], count: Callable[..., None]) -> None:
        with self._lock:
            book = self._books.get(frame.epoch)
        if book is not None and change(book):
            count(camera=self.camera)


__all__ = ["MAX_RUNS", "Book", "Ledger"]
