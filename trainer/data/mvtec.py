"""Read a folder in MVTec layout: train/good, test/good, test/<kind>, ground_truth/<kind>/<name>_mask.png."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.picture import Channels, PictureLimits, decode, inspect
from steadyline.prepare import prepare
from trainer.arrays import Masks, Pictures

ENDINGS = frozenset({".png", ".jpg", ".jpeg"})
GOOD = "good"
LIMITS = PictureLimits(max_bytes=64 << 20, max_pixels=64_000_000)
_LAYOUT = "a set in MVTec layout has train/good, test/good and test/<defect>"
_COVERED = 64  # of 255: a pixel belongs to the mask when a quarter of what it was resized from does


@dataclass(frozen=True, slots=True)
class Preparation:
    """How pictures are prepared, and the limits that are checked before anything is decoded."""

    size: int
    channels: Channels
    limits: PictureLimits = LIMITS


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
    return np.stack([read_picture(path, how) for path in files]), tuple(path.name for path in files)


def read_test(folder: Path, how: Preparation) -> TestSet:
    """Return the test pictures; raises InvalidConfiguration when a kind is missing or a picture is broken."""
    root = folder / "test"
    if not root.is_dir():
        raise InvalidConfiguration(f"{root} is missing: {_LAYOUT}")
    kinds = sorted(path.name for path in root.iterdir() if path.is_dir())
    if GOOD not in kinds or len(kinds) < 2:
        raise InvalidConfiguration(f"{root} has {', '.join(kinds) or 'no folder'}: {_LAYOUT}")
    files = [(kind, path) for kind in kinds for path in _files(root / kind)]
    masks = [_mask(folder, kind, path, how) for kind, path in files]
    located = np.array([mask is not None for mask in masks])
    truth = any(mask is not None for (kind, _), mask in zip(files, masks, strict=True) if kind != GOOD)
    empty = np.zeros((how.size, how.size), bool)
    return TestSet(
        pictures=np.stack([read_picture(path, how) for _, path in files]),
        kinds=tuple(kind for kind, _ in files),
        names=tuple(path.name for _, path in files),
        masks=np.stack([empty if mask is None else mask for mask in masks]) if truth else None,
        located=located,
    )


def with_native(test: TestSet, folder: Path, how: Preparation) -> TestSet:
    """Return ``test``, which was read from ``folder``, with its pictures as the camera took them."""
    named = zip(test.kinds, test.names, strict=True)
    return replace(test, native=tuple(_decoded(folder / "test" / kind / name, how) for kind, name in named))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidConfiguration(f"{folder} is missing: {_LAYOUT}")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise InvalidConfiguration(f"{folder} has no .png or .jpg")
    return found


def read_picture(path: Path, how: Preparation) -> Pictures:
    """Return one prepared picture (S, S, C); raises InvalidConfiguration when it cannot be read."""
    return prepare(_decoded(path, how), how.size, how.channels)


def read_mask(path: Path, how: Preparation) -> Masks:
    """Return (S, S) bool of a picture that is white on the defect, resized like the pictures."""
    grey = read_picture(path, Preparation(how.size, "gray", how.limits))[..., 0]
    return np.asarray(grey >= _COVERED)


def _decoded(path: Path, how: Preparation) -> Pictures:
    try:
        data = path.read_bytes()
        found = decode(data, inspect(data, how.limits), how.channels)
    except PoisonMessage as error:
        raise InvalidConfiguration(f"{path}: {error}") from error
    except OSError as error:
        raise InvalidConfiguration(f"{path} cannot be read: {error.strerror}") from error
    return found if found.ndim == 3 else found[..., None]


def _mask(folder: Path, kind: str, path: Path, how: Preparation) -> Masks | None:
    if kind == GOOD:
        return np.zeros((how.size, how.size), bool)
    place = folder / "ground_truth" / kind
    for name in (f"{path.stem}_mask.png", f"{path.stem}.png"):
        if (place / name).is_file():
            return read_mask(place / name, how)
    return None
