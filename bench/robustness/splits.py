"""Writes down once which pictures a data set has, and compares later: a run on other pictures fails."""

import hashlib
import json
from pathlib import Path
from typing import Any

from steadyline.errors import InvalidConfiguration
from steadyline.picture import LARGEST, decode, inspect
from steadyline.picture_folder import ANY_DEPTH, find_pictures

_FOLDERS = ("train/good", "test")


def fixed_split(name: str, folder: Path, file: Path) -> str:
    """Return the digest of a split, over every picture's path and pixels, however the pictures are encoded.

    Writes ``file`` when it does not exist. Raises InvalidConfiguration with the pictures that differ from it.
    """
    found = _digests(folder)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"data": name, "pictures": found}, indent=0), encoding="utf-8")
    held: Any = json.loads(file.read_text(encoding="utf-8"))["pictures"]
    different = sorted(path for path in held.keys() | found.keys() if held.get(path) != found.get(path))
    if different:
        raise InvalidConfiguration(
            f"{folder} is not the data set of {file}: {len(different)} pictures differ, as {different[0]}; "
            "take another --out or --splits, or the right folder"
        )
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    places = [folder / part for part in _FOLDERS if (folder / part).is_dir()]
    pictures = [path for place in places for path in find_pictures(place, ANY_DEPTH).files]
    if not pictures:
        raise InvalidConfiguration(
            f"{folder} has no pictures in train/good and test: it must be in MVTec layout"
        )
    return {path.relative_to(folder).as_posix(): _digest(path) for path in pictures}


def _digest(path: Path) -> str:
    data = path.read_bytes()
    pixels = decode(data, inspect(data, LARGEST), "rgb")
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:16]
