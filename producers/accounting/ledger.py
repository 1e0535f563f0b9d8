"""All accounts of one camera, one per epoch, in memory and on disk."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from producers import metrics
from producers.accounting.account import EpochAccount
from producers.accounting.epoch_folder import EpochFolder, EpochState, state_since
from producers.accounting.proof import HEADER, proof_of
from steadyline.contracts.camera_status import CameraState, CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.contracts.headers import Headers
from steadyline.telemetry.logs import get_logger

# A status lists every run of dropped frames, 10,000 at most. Long before that (40 KB of JSON a second) the
# epoch ends and the next one begins, so that no account is ever cut short.
MAX_RANGES = 1_000

log = get_logger(__name__)


class EpochLedger:
    """The account of one epoch of one camera; ``closing`` says why it takes no more captures."""

    def __init__(self, state: EpochState, account: EpochAccount, folder: EpochFolder) -> None:
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
        """True when the fate of every frame is known and no more frames will come."""
        return self.closing is not None and not self.account.pending

    def status(self, state: CameraState, reason: str, now: datetime) -> CameraStatus:
        """Return the status message for this moment; its accounting identity holds."""
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

    def save(self, now: datetime, clock_error: timedelta) -> None:
        """Write the account to disk; when the disk is full, log it and keep the older one: it stays true.

        ``clock_error`` is what must be added to ``now`` to have the topic's time.
        """
        balance = self.account.balance()
        state = EpochState(
            line=self.line,
            camera=self.camera,
            product=self.product,
            epoch=self.epoch,
            captured=balance.captured,
            oldest_pending=balance.oldest_pending,
            since=state_since(balance.oldest_pending_at, now),
            clock_error=clock_error.total_seconds(),
            dropped_sequences=balance.dropped_sequences,
            state_counts=dict(self.state_counts),
            closing=self.closing,
        )
        try:
            self.folder.save(state)
        except OSError as error:
            log.warning("account_unsaved", camera=self.camera, error=str(error))


class Ledger:
    """All open accounts of one camera; the newest one takes the captures."""

    def __init__(self, line: str, camera: str, product: str, folder: Path) -> None:
        self.camera = camera
        self._line = line
        self._product = product
        self._path = folder
        self._lock = threading.Lock()
        self._epochs: dict[int, EpochLedger] = {}
        self._current: EpochLedger | None = None

    @property
    def open_epochs(self) -> list[EpochLedger]:
        """The open accounts, oldest first."""
        with self._lock:
            return [self._epochs[epoch] for epoch in sorted(self._epochs)]

    @property
    def current(self) -> EpochLedger | None:
        """The account that takes captures; None before the first and after the last."""
        return self._current

    def blank_state(self, epoch: int, since: datetime) -> EpochState:
        """Return the state of an epoch of which nothing is known yet."""
        return EpochState(
            line=self._line, camera=self.camera, product=self._product, epoch=epoch, since=since
        )

    def add(self, epoch: EpochLedger) -> None:
        """Take over the account of an earlier run."""
        with self._lock:
            self._epochs[epoch.epoch] = epoch

    def open(self, now: datetime) -> EpochLedger:
        """Begin a new epoch. Raises OSError when the disk refuses."""
        with self._lock:
            # A clock that was set back must not begin an epoch before one that is still open.
            known = [int(path.name) for path in self._path.glob("*") if path.name.isdigit()]
            epoch = max(time.time_ns(), *(taken + 1 for taken in (*self._epochs, *known)), 1)
            state = self.blank_state(epoch, now)
            folder = EpochFolder(self._path / str(epoch))
            folder.save(state)
            self._epochs[epoch] = self._current = EpochLedger(state, EpochAccount(), folder)
            return self._current

    def capture(self, at: datetime) -> FrameId:
        """Give the next captured frame its id, in a new epoch when the present one has too many gaps."""
        epoch = self._current or self.open(at)
        if epoch.account.dropped_ranges >= MAX_RANGES:
            epoch.closing = "rotated"
            counts = epoch.state_counts
            epoch = self.open(at)
            epoch.state_counts.update(counts)
        sequence = epoch.account.capture(at)
        try:
            epoch.folder.note_captured(sequence)
        except OSError as error:
            log.warning("captured_unsaved", camera=self.camera, error=str(error))
        metrics.CAPTURED.add(camera=self.camera)
        return FrameId(self.camera, epoch.epoch, sequence)

    def proof(self, frame: FrameId) -> Headers:
        """Return the header that proves a frame of an open account to be this producer's."""
        epoch = self._epochs.get(frame.epoch)
        return ((HEADER, proof_of(frame, epoch.folder.secret)),) if epoch is not None else ()

    def is_own(self, frame: FrameId, headers: Sequence[tuple[str, bytes | None]]) -> bool:
        """Return True when a frame on the topic is one that an open account has published."""
        epoch = self._epochs.get(frame.epoch)
        return epoch is not None and epoch.folder.is_own(frame, headers)

    def publish(self, frame: FrameId) -> None:
        """Note that the broker has the frame."""
        self._on(frame, lambda epoch: epoch.account.publish(frame.sequence), metrics.PUBLISHED.add)

    def drop(self, frame: FrameId, reason: str) -> None:
        """Note that the frame will never be published, and why."""
        self._on(
            frame,
            lambda epoch: epoch.account.drop(frame.sequence, reason),
            lambda camera: metrics.DROPPED.add(camera=camera, reason=reason),
        )

    def enter(self, reason: str) -> None:
        """Count that the camera entered a state for ``reason``."""
        epoch = self._current
        if epoch is not None:
            epoch.state_counts[reason] = epoch.state_counts.get(reason, 0) + 1

    def close(self, why: str) -> None:
        """Note that no more captures will come, and why."""
        if self._current is not None:
            self._current.closing = why
        self._current = None

    def forget(self, epoch: EpochLedger) -> None:
        """Delete an account whose final status is acknowledged."""
        with self._lock:
            self._epochs.pop(epoch.epoch, None)
        epoch.folder.remove()

    def _on(self, frame: FrameId, change: Callable[[EpochLedger], bool], count: Callable[..., None]) -> None:
        with self._lock:
            epoch = self._epochs.get(frame.epoch)
        if epoch is not None and change(epoch):
            count(camera=self.camera)


__all__ = ["MAX_RANGES", "EpochLedger", "Ledger"]
