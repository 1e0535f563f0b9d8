"""Measure how far a student's features are from the teacher's, cell by cell (DAF, arXiv 2310.07585).

M_i = 2 - cos(V_t, V_s) - SSIM(f_t, f_s) at each stage i. The cosine is over the channels of a cell; the
structural similarity (Wang et al., 2004) is that of one channel in a small window. Divisors are clamped
instead of adding ``1e-10``, which the exporter folds away, so that a dead channel would give NaN.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

SMALLEST = 1e-6  # the least squared length that is divided by
# Features are in units of a channel's deviation over normals. Eight of these count as its range; the
# constants of the SSIM are the usual hundredth and three hundredths of the range.
_RANGE = 8.0
_C1, _C2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """One stage: ``cosine`` (B, 1, h, w) and ``structure`` (B, C, h, w) are 1 where the two agree."""

    cosine: Tensor
    structure: Tensor

    @property
    def discrepancy(self) -> Tensor:
        """2 - cosine - structure: (B, C, h, w) in [0, 4]."""
        return 2 - self.cosine - self.structure


def agreement(teacher: Tensor, student: Tensor, window: int) -> Agreement:
    """Return how well two stages (B, C, h, w) agree; ``window`` is the odd side of the window of the SSIM."""
    teacher, student = teacher.float(), student.float()
    return Agreement(cosine(teacher, student), structure(teacher, student, window))


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosine between the channels of each cell (B, 1, h, w); it is 0 when a cell has no length."""
    product = (first * second).sum(1, keepdim=True)
    lengths = (first * first).sum(1, keepdim=True) * (second * second).sum(1, keepdim=True)
    return product / lengths.clamp(min=SMALLEST**2).sqrt()


def structure(first: Tensor, second: Tensor, window: int) -> Tensor:
    """Return each channel's SSIM (B, C, h, w) in a square window, which is cut off at the border."""

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, window, 1, window // 2, count_include_pad=False)

    one, two = mean(first), mean(second)
    variances = mean(first * first) - one * one + mean(second * second) - two * two
    together = mean(first * second) - one * two
    light = (2 * one * two + _C1) / (one * one + two * two + _C1)
    contrast = (2 * together + _C2) / (variances.clamp(min=0) + _C2)
    # Features have a sign, unlike pixels: two opposite features must not multiply to agreement.
    return light.clamp(min=0) * contrast
