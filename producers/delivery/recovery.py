"""Close the accounts of earlier runs: frames left by a killed producer are found, sent, or dropped."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta

from producers.accounting.account import EpochAccount
from producers.accounting.epoch_folder import EpochFolder, EpochState
from producers.accounting.ledger import EpochLedger, Ledger
from producers.accounting.ranges import SequenceRanges
from producers.delivery.connection import LazyPublisher
from producers.delivery.published import Period, PublishedFrames
from producers.delivery.segment import segments
from producers.delivery.spool import Spool
from steadyline.contracts.frame import FrameId
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


def reconcile(
    state: EpochState, captured: int, published: AbstractSet[int], spooled: AbstractSet[int]
) -> tuple[EpochAccount, set[int]]:
    """Return the account of a past epoch, and the sequences that must still be sent.

    ``captured`` frames were noted, and ``published`` are the sequences of this producer's frames on the topic
    since ``state.since``. Of the frames whose fate was open, those on the topic are published, those in the
    spool are pending, and the rest is dropped. It takes as long as there are such frames and runs of them,
    however large their numbers are.
    """
    dropped = SequenceRanges(state.dropped_sequences)
    reason = "stopped" if state.closing == "stopped" else "producer_killed"
    last = max(captured, state.captured, *published, *spooled, 0)
    pending = {
        sequence: state.since
        for sequence in spooled - published
        if sequence >= state.oldest_pending and sequence not in dropped
    }
    known = [(first, end) for first, end, _ in dropped.as_list()]
    known += [(sequence, sequence) for sequence in published | spooled]
    begin = state.oldest_pending
    for first, end in [*sorted(known), (last + 1, last + 1)]:
        if begin < first:
            dropped.add_run(begin, first - 1, reason)
        begin = max(begin, end + 1)
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
            # Both times are of the clock of the run that left the account, and the topic has its own.
            errors = [timedelta(seconds=state.clock_error) for _, state, _ in self._left]
            since = [state.since + error for (_, state, _), error in zip(self._left, errors, strict=True)]
            until = [folder.last_sign + error for folder, error in zip(folders, errors, strict=True)]
            period = Period(min(since), max(until))
            published_frames.want(ledger.camera, period, self._is_own)

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

    def _is_own(self, frame: FrameId, headers: Sequence[tuple[str, bytes | None]]) -> bool:
        return any(
            folder.epoch == frame.epoch and folder.is_own(frame, headers) for folder, _, _ in self._left
        )

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
