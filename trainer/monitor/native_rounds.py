"""Ask the live model of the defects that its training drew at the camera's own pixels.

The bank's pseudo-anomalies are made at the model's input and know nothing of what the way there averages
away. Each of these is compared with the very normal that it was drawn into, by the rule of fit and gate.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from steadyline.clock import Clock
from steadyline.contracts.model_event import Health, Model
from steadyline.errors import PackageRejected, StoreUnavailable
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.arrays import Pictures
from trainer.data.banks import BankStore
from trainer.data.drawn_pairs import DRAWN_PAIRS, DrawnPair
from trainer.sight import LEAST_DEFECTS, blind_to_drawn, raised_share

log = get_logger(__name__)

SEES_NOTHING = "sees_nothing"
READ_AGAIN = timedelta(minutes=5)  # after pairs that could not be read, up to 64 MiB of them


@dataclass(slots=True)
class _AskedPairs:
    """The pairs of one version, and its newest answer to each: ``scores`` (N, 2), normal and defect."""

    version: int
    pairs: tuple[DrawnPair, ...]
    normals: dict[int, Pictures]
    scores: NDArray[np.float32]
    is_asked: NDArray[np.bool_]
    next: int = 0

    def chosen(self, count: int) -> NDArray[np.intp]:
        """Return the places of the next pairs, in a circle."""
        return (self.next + np.arange(min(count, len(self.pairs)))) % len(self.pairs)


class NativeRounds:
    """The pairs of one product's live version, some asked in each round, judged once all have been."""

    def __init__(self, kept: BankStore, product: str, clock: Clock, accepts_blind: bool = False) -> None:
        """``accepts_blind``: the pairs are asked and measured, and a version that sees none may stay."""
        self._kept, self._product, self._clock = kept, product, clock
        self._accepts_blind = accepts_blind
        self._asked: _AskedPairs | None = None
        self._read_at = float("-inf")

    def pictures(self, live: Model, count: int) -> Pictures | None:
        """Return the normals of the next ``count`` pairs, then their defects; (2N, H, W, C).

        None where the version has no pairs, or none that can be read: that is logged and counted, and tried
        again after READ_AGAIN.
        """
        if self._asked is None or self._asked.version != live.version:
            metrics.RAISED.set(math.nan, product=self._product)  # the figure before is of another version
            self._asked = self._read(live)
        if self._asked is None:
            return None
        pairs = [self._asked.pairs[place] for place in self._asked.chosen(count)]
        before = [self._asked.normals[pair.normal] for pair in pairs]
        after = [pair.drawn_into(normal) for pair, normal in zip(pairs, before, strict=True)]
        return np.stack([*before, *after])

    def judge(self, live: Model, scores: NDArray[np.float32] | None, told: Health | None) -> str | None:
        """Return why the version sees next to nothing, given its scores of ``pictures``; None when it sees,
        when it has no pairs, and until each of them has been asked.

        Until then what was ``told`` of the version stands: a trainer that starts anew has asked nothing yet.
        """
        if self._asked is not None and scores is not None:
            self._note(self._asked, scores)
        if self._asked is None or not self._asked.is_asked.all():
            return None if self._accepts_blind else _still(live, told)
        before, after = self._asked.scores.T
        raised = raised_share(after, before) if np.isfinite(self._asked.scores).all() else math.nan
        if math.isfinite(raised):
            metrics.RAISED.set(raised, product=self._product)
        is_accepted = self._accepts_blind and math.isfinite(raised)
        reason = None if is_accepted else blind_to_drawn(raised, len(after))
        return None if reason is None else f"{SEES_NOTHING}: {reason}"

    def _note(self, asked: _AskedPairs, scores: NDArray[np.float32]) -> None:
        chosen = asked.chosen(len(scores) // 2)
        asked.scores[chosen] = scores.reshape(2, -1).T
        asked.is_asked[chosen] = True
        asked.next = int(chosen[-1] + 1) % len(asked.pairs)

    def _read(self, live: Model) -> _AskedPairs | None:
        digest, normals, now = (
            live.lineage.get(DRAWN_PAIRS),
            live.lineage.get("data"),
            self._clock.monotonic(),
        )
        if digest is None or normals is None or now < self._read_at:
            return None
        try:
            snapshot = self._kept.snapshot(self._product, normals)
            pairs = self._kept.drawn_pairs(self._product, digest, snapshot).pairs
            if len(pairs) < LEAST_DEFECTS:
                raise PackageRejected(f"{len(pairs)} drawn pairs are too few to judge by")
        except (PackageRejected, StoreUnavailable) as error:
            log.error(
                "watch_has_no_drawn_pairs", product=self._product, version=live.version, error=str(error)
            )
            metrics.WATCH_FAILURES.add(product=self._product, reason=error.reason)
            self._read_at = now + READ_AGAIN.total_seconds()
            return None
        kept = {place: snapshot.pictures[place].copy() for place in {pair.normal for pair in pairs}}
        return _AskedPairs(
            live.version, pairs, kept, np.zeros((len(pairs), 2), np.float32), np.zeros(len(pairs), np.bool_)
        )


def _still(live: Model, told: Health | None) -> str | None:
    if DRAWN_PAIRS not in live.lineage or told is None or told.version != live.version:
        return None
    return told.reason if told.reason.startswith(f"{SEES_NOTHING}:") else None
