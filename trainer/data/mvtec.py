"""Read a folder in MVTec layout: train/good, test/good, test/<kind>, ground_truth/<kind>/<name>_mask.png."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.grid import Grid
from steadyline.picture import LARGEST, Channels, PictureInfo, PictureLimits, decode, inspect
from steadyline.picture_folder import FoundPictures, find_pictures, printable, sub_folders
from steadyline.prepare import prepare
from steadyline.telemetry.logs import get_logger
from trainer.arrays import Masks, Pictures
from trainer.data.masks import DrawnMask, MaskFiles

GOOD = "good"
_LAYOUT = "a set in MVTec layout has train/good, test/good and test/<defect>"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How pictures are prepared, and the limits that are checked before anything is decoded."""

    grid: Grid
    channels: Channels
    limits: PictureLimits = LARGEST


@dataclass(frozen=True, slots=True)
class TestSet:
    """Test pictures with their truth.

    ``kinds`` names the folder of each picture. ``masks`` is None when the set has no ground truth.
    ``located`` (N,) marks the pictures whose mask is known; that of a good picture is empty. ``native`` holds
    the same pictures as the camera took them, each (H, W, C), for attacks that change those.
    """

    __test__ = False  # keeps pytest from collecting this class

    pictures: Pictures
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    masks: Masks | None
    located: NDArray[np.bool_]
    native: tuple[Pictures, ...] | None = None

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        """(N,) bool: True for defective pictures."""
        return np.array([kind != GOOD for kind in self.kinds])


def read_normals(folder: Path, how: Preparation) -> tuple[Pictures, tuple[str, ...]]:
    """Return the pictures of train/good and their names; raises InvalidConfiguration with what is wrong."""
    files = _files(folder / "train" / GOOD)
    return read_pictures(files, how)[0], tuple(path.name for path in files)


def read_test(folder: Path, how: Preparation) -> TestSet:
    """Return the test pictures; raises InvalidConfiguration when a kind is missing, when a picture or a mask
    is broken, or when a mask marks nothing.

    Pictures of defects without a mask, and masks without a picture, are logged.
    """
    root = folder / "test"
    if not root.is_dir():
        raise InvalidConfiguration(f"{root} is missing: {_LAYOUT}")
    kinds = [path.name for path in sub_folders(root)]
    if GOOD not in kinds or len(kinds) < 2:
        raise InvalidConfiguration(f"{root} has {', '.join(kinds) or 'no folder'}: {_LAYOUT}")
    files = [(kind, path) for kind in kinds for path in _files(root / kind)]
    pictures, shapes = read_pictures([path for _, path in files], how)
    drawn = _masks_of(folder, files)
    masks = [
        np.zeros(how.grid, bool)
        if path not in drawn
        else read_mask(drawn[path], how.limits).of_grid(how.grid, shape)
        for (_, path), shape in zip(files, shapes, strict=True)
    ]
    return TestSet(
        pictures=pictures,
        kinds=tuple(kind for kind, _ in files),
        names=tuple(path.name for _, path in files),
        masks=np.stack(masks) if drawn else None,
        located=np.array([kind == GOOD or path in drawn for kind, path in files]),
    )


def with_native(test: TestSet, folder: Path, how: Preparation) -> TestSet:
    """Return ``test``, which was read from ``folder``, with its pictures as the camera took them."""
    named = zip(test.kinds, test.names, strict=True)
    found = (read_native(folder / "test" / kind / name, how.channels, how.limits)[0] for kind, name in named)
    return replace(test, native=tuple(found))


def read_pictures(files: Sequence[Path], how: Preparation) -> tuple[Pictures, list[tuple[int, int]]]:
    """Return prepared pictures (N, H, W, C), and the height and width of each before.

    What their decoding takes for granted is logged. Raises InvalidConfiguration when one cannot be read.
    """
    pictures, shapes, assumed = [], [], Counter[str]()
    for path in files:
        pixels, info = read_native(path, how.channels, how.limits)
        pictures.append(prepare(pixels, how.grid, how.channels))
        shapes.append((pixels.shape[0], pixels.shape[1]))
        assumed.update(info.assumed)
    tell_assumed(assumed, files[0].parent)
    return np.stack(pictures), shapes


def tell_assumed(assumed: Counter[str], folder: Path) -> None:
    """Log what decoding has taken for granted about the pictures of a folder."""
    for sentence, count in assumed.items():
        log.warning("picture_assumed", folder=printable(folder), pictures=count, assumed=sentence)


def read_mask(path: Path, limits: PictureLimits) -> DrawnMask:
    """Return a mask as it is drawn; raises InvalidConfiguration when it cannot be read."""
    gray, info = read_native(path, "gray", limits)
    return DrawnMask(path, gray, info.format == "jpeg")


def found_pictures(folder: Path, depth: int = 1) -> FoundPictures:
    """Return the pictures of a folder, and log what of it is used and what is left out.

    Raises InvalidConfiguration when it cannot be listed.
    """
    try:
        found = find_pictures(folder, depth)
    except OSError as error:
        raise InvalidConfiguration(f"{printable(folder)} cannot be listed: {error.strerror}") from error
    log.info("pictures_found", **found.fields())
    return found


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidConfiguration(f"{folder} is missing: {_LAYOUT}")
    found = list(found_pictures(folder).files)
    if not found:
        raise InvalidConfiguration(f"{folder} has no .png or .jpg")
    return found


def _masks_of(folder: Path, files: Sequence[tuple[str, Path]]) -> dict[Path, Path]:
    """Return the mask of each picture of a defect that has one; name those that belong to nothing."""
    truth = folder / "ground_truth"
    kinds = {path.name: MaskFiles(found_pictures(path).files) for path in sub_folders(truth)}
    nothing = MaskFiles(())
    defective = [(kind, path) for kind, path in files if kind != GOOD]
    pairs = [(path, kinds.get(kind, nothing).of(path)) for kind, path in defective]
    drawn = {path: mask for path, mask in pairs if mask is not None}
    without = [path for path, mask in pairs if mask is None]
    unused = [path for kind, masks in kinds.items() if kind != GOOD for path in masks.unused()]
    if drawn and without:
        log.warning("pictures_without_mask", count=len(without), as_in=printable(without[0]))
    if unused:
        told = (
            f"that of {defective[0][1].name} is {defective[0][1].stem}_mask.png or {defective[0][1].stem}.png"
        )
        log.warning("masks_without_picture", count=len(unused), as_in=printable(unused[0]), rule=told)
    return drawn


def read_native(
    path: Path, channels: Channels, limits: PictureLimits = LARGEST
) -> tuple[Pictures, PictureInfo]:
    """Return one picture (H, W, C) as the camera took it.

    Raises InvalidConfiguration when it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidConfiguration(f"{printable(path)} cannot be read: {error.strerror}") from error
    return decode_native(data, channels, printable(path), limits)


def decode_native(
    data: bytes, channels: Channels, name: str, limits: PictureLimits = LARGEST
) -> tuple[Pictures, PictureInfo]:
    """Return an encoded picture (H, W, C) as the camera took it; raises InvalidConfiguration, with its
    ``name``, when it is none.
    """
    try:
        info = inspect(data, limits)
        found = decode(data, info, channels)
    except PoisonMessage as error:
        raise InvalidConfiguration(f"{name}: {error}") from error
    return (found if found.ndim == 3 else found[..., None]), info
