"""Read the known defects of a folder: pictures that people marked, some with a mask that somebody drew.

Pictures are in the folder itself or in one folder per kind. Masks are in its folder ``masks`` under the same
path, with or without ``_mask`` before the ending: ``crack/7.png`` and ``masks/crack/7_mask.png``. That is
MVTec's ``test/<kind>`` and ``ground_truth/<kind>`` under two other names.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from steadyline.errors import InvalidConfiguration
from trainer.arrays import KnownDefects
from trainer.data.mvtec import ENDINGS, GOOD, Preparation, read_mask, read_picture

MASKS = "masks"


def read_known_defects(folder: Path, how: Preparation) -> KnownDefects:
    """Return the known defects of ``folder``, prepared as ``how`` says, ordered by path.

    Raises InvalidConfiguration when there is none, when one cannot be read, when a mask belongs to no picture
    or is empty, or when a kind is called good, because good parts are no defects.
    """
    if not folder.is_dir():
        raise InvalidConfiguration(f"the folder of known defects {folder} is not there")
    if (folder / GOOD).is_dir():
        raise InvalidConfiguration(
            f"{folder / GOOD} holds good parts; known defects are a folder without it (give {folder}/<kind>)"
        )
    files = list(_files(folder))
    if not files:
        raise InvalidConfiguration(f"the folder of known defects {folder} has no .png or .jpg")
    drawn = {path: _mask_of(folder, path) for path in files}
    _check_masks(folder, {mask for mask in drawn.values() if mask is not None})
    masks = []
    for path in files:
        mask_file = drawn[path]
        mask = None if mask_file is None else read_mask(mask_file, how)
        if mask is not None and not mask.any():
            raise InvalidConfiguration(f"{mask_file} marks nothing of {path}: take it away or draw it again")
        masks.append(mask)
    return KnownDefects(np.stack([read_picture(path, how) for path in files]), tuple(masks))


def known_digest(known: KnownDefects) -> str:
    """Return the SHA-256 of pictures and masks in their order."""
    total = hashlib.sha256(str(known.pictures.shape).encode())
    total.update(np.ascontiguousarray(known.pictures).tobytes())
    for mask in known.masks:
        total.update(b"no mask" if mask is None else np.ascontiguousarray(mask).tobytes())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the pictures of the folder and of its kinds, sorted, without those of ``masks``."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] != MASKS and len(inside.parts) <= 2 and _is_picture(path):
            yield path


def _mask_of(folder: Path, picture: Path) -> Path | None:
    place = folder / MASKS / picture.relative_to(folder).parent
    found = [place / f"{picture.stem}{ending}.png" for ending in ("_mask", "")]
    return next((path for path in found if path.is_file()), None)


def _check_masks(folder: Path, used: set[Path]) -> None:
    """Raise InvalidConfiguration for a mask of no picture.

    If it were ignored, the place of a defect would be guessed although somebody drew it.
    """
    root = folder / MASKS
    unused = sorted(path for path in root.rglob("*") if _is_picture(path) and path not in used)
    if unused:
        raise InvalidConfiguration(
            f"{unused[0]} is the mask of no picture: that of crack/7.png is {MASKS}/crack/7_mask.png"
        )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()
