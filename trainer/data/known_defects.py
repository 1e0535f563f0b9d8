"""Read the known defects of a folder: pictures that people marked, some with a mask that somebody drew.

Pictures are in the folder itself or in one folder per kind. Masks are in its folder ``masks`` under the same
path, with or without ``_mask`` before the ending, which may be that of any picture: ``crack/7.png`` and
``masks/crack/7_mask.png``. That is MVTec's ``test/<kind>`` and ``ground_truth/<kind>`` under two other names.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steadyline.errors import InvalidConfiguration
from steadyline.picture_folder import printable
from steadyline.telemetry.logs import get_logger
from trainer.arrays import KnownDefects
from trainer.data.masks import MaskFiles
from trainer.data.mvtec import GOOD, Preparation, found_pictures, read_mask, read_pictures

log = get_logger(__name__)

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
    found = found_pictures(folder, depth=2).files
    files = [path for path in found if path.relative_to(folder).parts[0] != MASKS]
    if not files:
        raise InvalidConfiguration(f"the folder of known defects {folder} has no .png or .jpg")
    drawn = _masks_of(folder, files)
    pictures, shapes = read_pictures(files, how)
    masks = tuple(
        read_mask(drawn[path], how.limits).of_grid(how.grid, shape) if path in drawn else None
        for path, shape in zip(files, shapes, strict=True)
    )
    return KnownDefects(pictures, masks)


def known_digest(known: KnownDefects) -> str:
    """Return the SHA-256 of pictures and masks in their order."""
    total = hashlib.sha256(str(known.pictures.shape).encode())
    total.update(np.ascontiguousarray(known.pictures).tobytes())
    for mask in known.masks:
        total.update(b"no mask" if mask is None else np.ascontiguousarray(mask).tobytes())
    return total.hexdigest()


def _masks_of(folder: Path, files: Sequence[Path]) -> dict[Path, Path]:
    """Return the mask of each picture that has one. Raises InvalidConfiguration for a mask of no picture.

    If it were ignored, the place of a defect would be guessed although somebody drew it.
    """
    root = folder / MASKS
    places: dict[Path, list[Path]] = {}
    for path in found_pictures(root, depth=2).files if root.is_dir() else ():
        places.setdefault(path.parent.relative_to(root), []).append(path)
    masks = {place: MaskFiles(paths) for place, paths in places.items()}
    nothing = MaskFiles(())
    pairs = [(path, masks.get(path.parent.relative_to(folder), nothing).of(path)) for path in files]
    unused = [path for own in masks.values() for path in own.unused()]
    if unused:
        raise InvalidConfiguration(
            f"{printable(unused[0])} is the mask of no picture: that of crack/7.png is "
            f"{MASKS}/crack/7_mask.png"
        )
    without = [path for path, mask in pairs if mask is None]
    if without:
        log.info("pictures_without_mask", count=len(without), as_in=printable(without[0]))
    return {path: mask for path, mask in pairs if mask is not None}
