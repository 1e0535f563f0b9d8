"""Settle one epoch of one camera: every captured frame has one fate, and every exception is named."""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from steadyline.contracts.camera_status import CameraStatus
from steadyline.ops.audit.ranges import Run, Sequences, above, below, count, displaced, gaps, head, inside
from steadyline.ops.audit.sighting import Epoch, RefusedFrame, Sightings, WaitingFrame


@dataclass(frozen=True, slots=True)
class EpochFates:
    """The account of one epoch, up to the ``captured`` frames in its last status.

    ``captured = scored + dropped + dead_lettered + pending + waiting + expired + missing``. ``newer`` counts
    frames beyond the last status. ``doubled`` maps a sequence to its fates in words.
    """

    epoch: Epoch
    product: str = ""
    state: str = "unknown"
    captured: int = 0
    scored: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    dead_lettered: dict[str, int] = field(default_factory=dict)
    pending: int = 0
    waiting: int = 0
    expired: int = 0
    newer: int = 0
    missing: list[Run] = field(default_factory=list)
    doubled: dict[int, str] = field(default_factory=dict)
    out_of_order: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def in_flight(self) -> int:
        """The number of frames on their way: pending at the producer, or on the topic and not scored yet."""
        return self.pending + self.waiting

    @property
    def is_intact(self) -> bool:
        """True when every frame has exactly one fate, in order, and the producer's own sums are right."""
        return not (self.missing or self.doubled or self.out_of_order or self.problems)


@dataclass(frozen=True, slots=True)
class _Fates:
    """Sequences by fate, one entry per occurrence; ``letters`` and ``waiting`` leave out replays."""

    scores: Sequences
    letters: list[RefusedFrame]
    waiting: Sequences

    @property
    def refused(self) -> Sequences:
        return np.array([letter.sequence for letter in self.letters], dtype=np.int64)


def settle(epoch: Epoch, seen: Sightings, expired_below: int = 0) -> EpochFates:
    """Return the account of one epoch.

    Sequences below ``expired_below`` of which nothing is left count as expired and not as missing, because
    retention has deleted their scores. Of the sequences without a fate, the newest ones are pending at the
    producer, as many as the status says, because frames leave it in order. The others are missing. Frames
    beyond the status are told by the next one, or are nobody's: whatever became of them is no fault.
    """
    fates = _fates(seen)
    copies = np.concatenate((fates.scores, fates.refused, fates.waiting))
    present = np.unique(copies)
    last = seen.status.sequence if seen.status is not None else 0
    account = EpochFates(
        epoch,
        newer=len(present),
        doubled=_doubled(fates, copies[copies <= last], seen.status),
        out_of_order=_out_of_order(fates.scores[fates.scores <= last], seen),
    )
    return account if seen.status is None else _balance(account, seen.status, fates, expired_below)


def _balance(account: EpochFates, status: CameraStatus, fates: _Fates, expired_below: int) -> EpochFates:
    """Compare the fates up to the sequence of the status with the producer's own counts."""
    present = np.unique(np.concatenate((fates.scores, fates.refused, fates.waiting)))
    runs = [(first, last) for first, last, _ in status.dropped_sequences]
    known = present[(present <= status.sequence) & ~inside(present, runs)]
    unscored = known[~np.isin(known, fates.scores)].tolist()
    reasons = {letter.sequence: letter.reason for letter in fates.letters}
    dead = Counter(reasons[sequence] for sequence in unscored if sequence in reasons)
    fateless = gaps(status.sequence, present, runs)
    open_ = above(fateless, expired_below)
    excess = max(0, count(open_) - status.pending)
    return replace(
        account,
        product=status.product,
        state=status.state,
        captured=status.captured,
        scored=len(known) - len(unscored),
        dropped=dict(status.dropped),
        dead_lettered=dict(dead),
        pending=count(open_) - excess,
        waiting=len(unscored) - dead.total(),
        expired=count(below(fateless, expired_below)),
        newer=int((present > status.sequence).sum()),
        missing=head(open_, excess),
        problems=_problems(status),
    )


def _fates(seen: Sightings) -> _Fates:
    """Leave out replayed letters: their frame is on its way again, or has been scored in the end."""
    marks = {letter.replayed_from for letter in seen.refused} | {item.replayed_from for item in seen.waiting}
    scores = np.array(seen.scores, dtype=np.int64)
    sources = np.array(seen.sources, dtype=np.int64)
    closer = {letter.sequence for letter in seen.refused} | {item.sequence for item in seen.waiting}
    of_interest = np.isin(scores, np.array(sorted(closer), dtype=np.int64))
    scored_at: dict[int, list[int]] = {}
    for sequence, offset in zip(scores[of_interest].tolist(), sources[of_interest].tolist(), strict=True):
        scored_at.setdefault(sequence, []).append(offset)

    def is_live(letter: RefusedFrame) -> bool:
        at = letter.source.offset if letter.source is not None else -1
        return letter.place not in marks and max(scored_at.get(letter.sequence, [-1])) <= at

    # Read after the scores, the frames topic may show a frame that was scored or refused in the meantime.
    consumed = {(item.sequence, item.source.offset) for item in seen.refused if item.source is not None}
    consumed |= {(sequence, offset) for sequence, offsets in scored_at.items() for offset in offsets}

    def is_waiting(item: WaitingFrame) -> bool:
        return (item.sequence, item.place.offset) not in consumed

    waiting = [item.sequence for item in seen.waiting if is_waiting(item)]
    letters = [letter for letter in seen.refused if is_live(letter)]
    return _Fates(scores, letters, np.array(waiting, dtype=np.int64))


def _doubled(fates: _Fates, copies: Sequences, status: CameraStatus | None) -> dict[int, str]:
    """Return the sequences with more than one fate, and their fates."""
    values, counts = np.unique(copies, return_counts=True)
    drops = status.dropped_sequences if status is not None else []
    runs = [(first, last) for first, last, _ in drops]
    doubled = values[(counts > 1) | inside(values, runs)]
    words: dict[int, list[str]] = {sequence: [] for sequence in doubled.tolist()}
    begins = [first for first, _ in runs]
    for sequence in doubled[inside(doubled, runs)].tolist():
        words[sequence].append(f"dropped ({drops[bisect_right(begins, sequence) - 1][2]})")
    kinds = (("scored", fates.scores), ("dead-lettered", fates.refused), ("waiting", fates.waiting))
    for word, sequences in kinds:
        for sequence, times in Counter(sequences[np.isin(sequences, doubled)].tolist()).items():
            words[sequence].append(word if times == 1 else f"{word} {times} times")
    return {sequence: ", ".join(parts) for sequence, parts in words.items()}


def _out_of_order(order: Sequences, seen: Sightings) -> list[int]:
    """Return the sequences out of order among those scored in this ``order``; replays may come any time."""
    if len(order) < 2 or bool((np.diff(order) > 0).all()):
        return []
    _, first = np.unique(order, return_index=True)
    once = order[np.sort(first)]
    replays = np.array([letter.sequence for letter in seen.refused], dtype=np.int64)
    return displaced(once[~np.isin(once, replays)])


def _problems(status: CameraStatus) -> list[str]:
    """Say in words where the producer's own sums do not add up."""
    found: list[str] = []
    dropped = sum(status.dropped.values())
    if status.captured != status.sequence:
        found.append(f"captured {status.captured} frames but numbered {status.sequence}")
    if status.captured != status.published + dropped + status.pending:
        found.append(
            f"captured {status.captured} is not published {status.published} + dropped {dropped} "
            f"+ pending {status.pending}"
        )
    listed = count((first, last) for first, last, _ in status.dropped_sequences)
    if listed != dropped:
        found.append(f"dropped {dropped} frames but lists {listed}")
    return found
