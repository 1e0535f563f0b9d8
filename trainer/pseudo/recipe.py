"""The numbers that say how a bank is made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

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
class CropRecipe:
    """How the bank of a large picture is made: crops of training normals, whole pictures of held-out ones.

    It holds where a side of the picture is longer than ``whole_up_to`` pixels; smaller pictures stay whole.
    ``count`` crops with a side of ``side`` pixels are trained on and ``aside`` more judge the training. Each
    is cut from a square window of at most ``window`` pixels, which bounds what a crop of a large picture
    costs. The largest change of a 2 x 2 mean is at least ``contrast``, and a defect is drawn ``tries`` times.
    ``whole`` pictures are made of each held-out normal: they calibrate, judge and watch.
    """

    whole_up_to: int = 96
    side: int = 64
    count: int = 6000
    aside: int = 128
    window: int = 256  # the largest that was measured
    contrast: float = 8 / 255
    tries: int = 8
    whole: int = 3

    @property
    def total(self) -> int:
        """The number of crops that are drawn: to train on, and to judge the training."""
        return self.count + self.aside


@dataclass(frozen=True, slots=True)
class BankRecipe:
    """How a bank is made; with ``crops`` that of a large picture holds crops.

    With ``held_out_only`` the normals that are trained on get no pseudo-anomaly.

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
    crops: CropRecipe | None = None
    held_out_only: bool = False

    def crops_of(self, height: int, width: int) -> CropRecipe | None:
        """Return how crops are made of pictures of this size, in pixels; None where they stay whole."""
        crops = self.crops
        return crops if crops is not None and max(height, width) > crops.whole_up_to else None

    def parameters(self) -> dict[str, float | int | str]:
        """Return the recipe as flat numbers for a manifest."""
        numbers: dict[str, float | int | str] = {f"share.{name}": part for name, part in self.shares.items()}
        if self.adapt is not None:
            numbers |= {"adapt.draws": self.adapt.draws, "adapt.least": self.adapt.least}
        if self.crops is not None:
            numbers |= {f"crops.{name}": number for name, number in asdict(self.crops).items()}
            numbers["crops.contrast"] = round(self.crops.contrast, 6)
        return numbers | {
            "per_normal": self.per_normal,
            "tries": self.tries,
            "quantile": self.bar.quantile,
            "contrast": round(self.bar.contrast, 6),
            "closing": self.closing,
        }
