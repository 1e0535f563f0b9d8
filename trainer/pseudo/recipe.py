"""How a bank is made, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.pseudo.acceptance import Bar


@dataclass(frozen=True, slots=True)
class BankRecipe:
    """How a bank is made. ``shares`` maps a transform to how often it is drawn (any scale)."""

    per_normal: int
    shares: Mapping[str, float]
    bar: Bar
    tries: int = 6

    def parameters(self) -> dict[str, float | int | str]:
        """Return the recipe as flat numbers for a manifest."""
        numbers: dict[str, float | int | str] = {f"share.{name}": part for name, part in self.shares.items()}
        return numbers | {
            "per_normal": self.per_normal,
            "tries": self.tries,
            "quantile": self.bar.quantile,
            "contrast": round(self.bar.contrast, 6),
        }
