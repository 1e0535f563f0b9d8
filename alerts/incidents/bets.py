"""Bets against normal frames being even over the two halves of the calibration, and what they prove.

All bets begin with one coin. Before each frame a little of it is staked anew, so that a drift is found
whenever it begins: of the coin 1/log2(t + 1) - 1/log2(t + 2) goes in before frame t, in equal parts on each
bet, and the rest is kept. While nothing drifts no bet gains on average, whatever went before, and by Ville's
inequality the coin ever becomes 1/u coins with probability u at most. So the inverse of the most it ever was
is a p-value at every moment at once: it may be looked at after each frame, and the frame at which one stops
may depend on it (Ramdas, Grünwald, Vovk, Shafer: Game-theoretic statistics and safe anytime-valid inference,
Statistical Science 38, 2023, arXiv:2210.01948).
"""

from math import log2

from steadyline.contracts.message import Part

STAKES = (0.1, 0.3, 0.7)  # of what may be staked on a half; small ones find small drifts
BETS = 2 * len(STAKES)  # those on the half with the higher scores first
_LARGEST = 1e300


def payoffs(is_lower: bool, most: float) -> tuple[float, ...]:
    """Return by what a frame multiplies each bet.

    ``is_lower`` is True when its p-value is in the lower half; ``most`` is the share of frames in either half
    that nothing yet drifts with.
    """
    return tuple(1 + stake / most * (hit - most) for hit in (is_lower, not is_lower) for stake in STAKES)


class Wealth(Part):
    """What the bets are worth after the frames that were looked at."""

    looked_at: int = 0
    staked: tuple[float, ...] = (0.0,) * BETS
    p_value: float = 1.0  # the least so far

    def after(self, paid: tuple[float, ...]) -> "Wealth":
        """Return the wealth after one more frame, which multiplies each bet as ``paid`` says."""
        number = self.looked_at + 1
        new = 1 / log2(number + 1) - 1 / log2(number + 2)
        staked = tuple(
            min((before + new) * factor, _LARGEST) for before, factor in zip(self.staked, paid, strict=True)
        )
        after = Wealth(looked_at=number, staked=staked)
        return after.model_copy(update={"p_value": min(self.p_value, 1 / max(after.coins, 1.0))})

    @property
    def coins(self) -> float:
        """What all of it is worth: the bets and the rest of the coin."""
        return sum(self.staked) / BETS + 1 / log2(self.looked_at + 2)
