"""Convert between a bank in memory and its entries in Redis, where pictures and masks are PNGs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from steadyline.bank.entry import BankEntry
from steadyline.picture import INPUT_LIMITS, decode, encode_png, inspect
from trainer.arrays import Masks, Pictures, PseudoBank
from trainer.pseudo.bank import MadeBank

# The parameters of a crop, in pixels of its normal; a pseudo-anomaly without them is a whole picture.
TOP, LEFT = "crop.top", "crop.left"


def to_entries(made: MadeBank, sources: Sequence[str]) -> list[BankEntry]:
    """Return the entries of a bank; ``sources`` names each normal. Ids are ``<source>#<number>``."""
    return [
        BankEntry(
            id=f"{sources[anomaly.source]}#{anomaly.number:03d}",
            picture_png=encode_png(
                anomaly.picture if anomaly.picture.shape[2] == 3 else anomaly.picture[..., 0]
            ),
            mask_png=encode_png(anomaly.mask.astype(np.uint8) * 255),
            source=sources[anomaly.source],
            transform=anomaly.transform,
            parameters=_with_named_donor(anomaly.parameters, sources),
            acceptance=anomaly.acceptance,
        )
        for anomaly in made.anomalies
    ]


def from_entries(entries: Sequence[BankEntry], index: Mapping[str, int], channels: str) -> PseudoBank:
    """Return the entries whose source is in ``index``, which maps a source to its place among the normals."""
    chosen = [entry for entry in entries if entry.source in index]
    return PseudoBank(
        pictures=np.stack([_picture(entry.picture_png, channels) for entry in chosen]),
        masks=np.stack([_mask(entry.mask_png) for entry in chosen]),
        source=np.array([index[entry.source] for entry in chosen], np.int64),
        transform=tuple(entry.transform for entry in chosen),
        corner=_corners([entry.parameters for entry in chosen]),
    )


def in_memory(made: MadeBank, kept: Masks | None = None) -> PseudoBank:
    """Return a bank as arrays; with ``kept`` (N,) only the sources marked in it, renumbered."""
    chosen = [anomaly for anomaly in made.anomalies if kept is None or kept[anomaly.source]]
    renumbered = None if kept is None else np.cumsum(kept) - 1
    return PseudoBank(
        pictures=np.stack([anomaly.picture for anomaly in chosen]),
        masks=np.stack([anomaly.mask for anomaly in chosen]),
        source=np.array([a.source if renumbered is None else renumbered[a.source] for a in chosen], np.int64),
        transform=tuple(anomaly.transform for anomaly in chosen),
        corner=_corners([anomaly.parameters for anomaly in chosen]),
    )


def _corners(parameters: Sequence[Mapping[str, float | int | str]]) -> NDArray[np.int64] | None:
    """Return the corners (M, 2) of crops, or None when they are whole pictures."""
    found = [(int(of[TOP]), int(of[LEFT])) for of in parameters if TOP in of]
    return np.array(found, np.int64) if found else None


def _with_named_donor(
    parameters: Mapping[str, float | int | str], sources: Sequence[str]
) -> dict[str, float | int | str]:
    return {**parameters, "donor": sources[int(parameters["donor"])]}


def _picture(png: bytes, channels: str) -> Pictures:
    pixels = decode(png, inspect(png, INPUT_LIMITS), "rgb" if channels == "rgb" else "gray")
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _mask(png: bytes) -> Masks:
    return decode(png, inspect(png, INPUT_LIMITS), "gray") > 127
