"""Close the accounts of earlier runs: frames left by a killed producer are found, sent, or dropped."""

from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta

from producers.accounting.account import EpochAccount
from producers.accounting.epoch_folder import EpochFolder, EpochState
from producers.accounting.ledger import EpochLedger, Ledger
from producers.accounting.ranges import SequenceRanges
from producers.delivery.connection import LazyPublisher
from producers.delivery.published import Period, PublishedFrames
from producers.delivery.segment import segments
from producers.delivery.spool import Spool
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


def reconcile(
    state: EpochState, captured: int, published: set[int], spooled: Container[int]
) -> tuple[EpochAccount, set[int]]:
    """Return the account of a past epoch, and the sequences that must still be sent.

    ``captured`` frames were noted, and ``published`` are the sequences on the topic since ``state.since``. Of
    the frames whose fate was open, those on the topic are published, those in the spool are pending, and the
    rest is dropped.
    """
    dropped = SequenceRanges(state.dropped_sequences)
    reason = "stopped" if state.closing == "stopped" else "producer_killed"
    last = max(captured, state.captured, max(published, default=0))
    pending: dict[int, datetime] = {}
    for sequence in range(state.oldest_pending, last + 1):
        if sequence in published or sequence in dropped:
            continue
        if sequence in spooled:
            pending[sequence] = state.since
        else:
            dropped.add(sequence, reason)
    return EpochAccount.restore(last, dropped, pending), set(pending)


class Recovery:
    """The epochs that earlier runs of one camera left open, read before this run begins its own epoch."""

    def __init__(
        self, folders: Sequence[EpochFolder], ledger: Ledger, spool: Spool, published_frames: PublishedFrames
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._published_frames = published_frames
        self._left = [(folder, *self._load(folder)) for folder in folders]
        if self._left:
            since = min(state.since for _, state, _ in self._left)
            published_frames.want(ledger.camera, Period(since, max(folder.last_sign for folder in folders)))

    @property
    def has_frames_to_send(self) -> bool:
        """True when the spool holds frames, which must be sent before all newer ones."""
        return any(segments(folder.path) for folder, _, _ in self._left)

    def run(self, publisher: LazyPublisher) -> None:
        """Look up the open frames on the topic; adopt those in the spool and close the others.

        Raises BrokerUnavailable, and has changed nothing then.
        """
        if not self._left:
            return
        published = self._published_frames.answer(self._ledger.camera, publisher)
        for folder, state, captured in reversed(
            self._left
        ):  # newest first: each goes before the ones adopted
            self._close(folder, state, captured, published.get(state.epoch, set()))
        self._left = []

    def _close(self, folder: EpochFolder, state: EpochState, captured: int, published: set[int]) -> None:
        spooled = self._spool.find(state.epoch)
        account, pending = reconcile(
            state, captured, published, {identity.sequence for identity, _ in spooled}
        )
        closing = state.closing or "producer_killed"
        self._ledger.add(EpochLedger(state.model_copy(update={"closing": closing}), account, folder))
        self._spool.adopt(spooled, pending)
        log.info(
            "account_taken_over",
            camera=self._ledger.camera,
            epoch=state.epoch,
            captured=account.balance().captured,
            pending=len(pending),
            dropped=account.balance().dropped,
        )

    def _load(self, folder: EpochFolder) -> tuple[EpochState, int]:
        try:
            return folder.load()
        except ValueError as error:
            log.error("account_unreadable", path=str(folder.path), error=str(error))
        # Only the time at which the epoch began is certain; the topic since then tells the rest.
        started = datetime.fromtimestamp(folder.epoch // 10**9, UTC) - timedelta(seconds=1)
        return self._ledger.blank_state(folder.epoch, started), folder.noted_captured
