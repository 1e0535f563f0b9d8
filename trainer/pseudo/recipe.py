"""The numbers that say how a bank is made."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.pseudo.acceptance import Bar


@dataclass(frozen=True, slots=True)
class Adapt:
    """How shares are fitted to a product.

    After ``draws`` of each transform, its share is that of the recipe times the share of draws that the check
    accepted. A transform that is accepted less often than ``least`` is dropped.
    """

    draws: int
    least: float


@dataclass(frozen=True, slots=True)
class BankRecipe:
    """How a bank is made.

    ``shares`` maps a transform to how often it is drawn (on any scale). ``adapt`` first fits them to the
    product's normals, as COBRA's paper does (arXiv 2501.15434). Gaps of a mask of up to ``closing`` of the
    side are closed.
    """

    per_normal: int
    shares: Mapping[str, float]
    bar: Bar
    tries: int = 6
    adapt: Adapt | None = None
    closing: float = 0.0

    def parameters(self) -> dict[str, float | int | str]:
        """Return the recipe as flat numbers for a manifest."""
        numbers: dict[str, float | int | str] = {f"share.{name}": part for name, part in self.shares.items()}
        if self.adapt is not None:
            numbers |= {"adapt.draws": self.adapt.draws, "adapt.least": self.adapt.least}
        return numbers | {
            "per_normal": self.per_normal,
            "tries": self.tries,
            "quantile": self.bar.quantile,
            "contrast": round(self.bar.contrast, 6),
            "closing": self.closing,
        }
