"""All transforms by name, how often a bank draws each, and the banks that detectors use."""

from collections.abc import Mapping

from trainer.pseudo import paint, paste, synthetic, warp
from trainer.pseudo.acceptance import Bar
from trainer.pseudo.recipe import Adapt, BankRecipe
from trainer.pseudo.transform import Transform

TRANSFORMS: dict[str, Transform] = {
    transform.name: transform
    for transform in (*paint.TRANSFORMS, *paste.TRANSFORMS, *synthetic.TRANSFORMS, *warp.TRANSFORMS)
}

# The five distortions of COBRA's paper (arXiv 2501.15434); ``adapt`` fits their shares to the product.
PAPER_SHARES: Mapping[str, float] = {"rotation": 1, "permute": 1, "cut-out": 1, "scar": 1, "elastic": 1}

# Mostly painted local defects, from which a detector can learn where a defect is. A picture that is turned or
# bent as a whole is "defective" everywhere, which teaches nothing about the place, so these are rare.
LOCAL_SHARES: Mapping[str, float] = {
    "crack": 0.19,
    "polygon": 0.16,
    "blob": 0.15,
    "streak": 0.12,
    "dots": 0.12,
    "scar": 0.14,
    "window": 0.08,
    "cut-out": 0.02,
    "elastic": 0.01,
    "permute": 0.01,
}

# LOCAL_BANK is for detectors that learn where a defect is; PAPER_BANK is that of COBRA's paper.
LOCAL_BANK = BankRecipe(per_normal=16, shares=LOCAL_SHARES, bar=Bar(quantile=0.05, contrast=12 / 255))
PAPER_BANK = BankRecipe(
    per_normal=16,
    shares=PAPER_SHARES,
    bar=Bar(quantile=0.05, contrast=0.0),
    adapt=Adapt(draws=64, least=0.05),
)
