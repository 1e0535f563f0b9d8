"""The line file of a new line: from cameras and a folder of good parts to YAML that every service reads."""

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steadyline.contracts.frame import NAME
from steadyline.errors import InvalidConfiguration
from steadyline.line import CameraSection
from steadyline.picture_folder import FoundPictures, find_good_parts, find_pictures, printable

KINDS = ("folder", "video", "rtsp", "usb", "synthetic")
_LOOKED_BELOW = 3  # folders deep, the camera's own included: a data set has its kinds there
FEWEST_NORMALS = 20  # with fewer neither a training nor a threshold means anything
_WANTED = "NAME=SOURCE, or a source alone, with a source of usb:0, rtsp://…, folder:PATH, video:PATH or "
_NUMBER = re.compile(r"\d{1,3}")
_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")  # what begins otherwise may be a number or a date to YAML
_WORDS_OF_YAML = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_UNWRITABLE = frozenset(
    {"Cc", "Cs", "Zl", "Zp"}
)  # control characters, bytes that are no UTF-8, ends of lines


@dataclass(frozen=True, slots=True)
class NewCamera:
    """A camera and its source, as the line file names them."""

    id: str
    source: str


@dataclass(frozen=True, slots=True)
class NewLine:
    """What a person has said of a new line; ``normals`` is the folder of good parts."""

    line: str
    product: str
    cameras: Sequence[NewCamera]
    normals: Path
    picture: str
    detector: str


def new_cameras(texts: Sequence[str], base: Path) -> list[NewCamera]:
    """Return the cameras that a command line names, ``NAME=SOURCE`` or a source alone.

    ``usb:0`` is the device /dev/video0. A folder or file that is there, from the working folder, is named as
    the line file in ``base`` reaches it. Cameras without a name become cam-1, cam-2 ... Raises
    InvalidConfiguration that says what is wrong; nothing of an address is repeated, since it may hold a
    password.
    """
    found: list[NewCamera] = []
    for number, text in enumerate(texts, 1):
        name, equals, rest = text.partition("=")
        is_named = bool(equals) and NAME.fullmatch(name) is not None
        camera, source = (name, rest) if is_named else (f"cam-{number}", text)
        kind = source.partition(":")[0]
        if ":" not in source or kind not in KINDS:
            raise InvalidConfiguration(f"camera {camera}: write {_WANTED}synthetic:")
        if camera in {other.id for other in found}:
            raise InvalidConfiguration(f"camera {camera} is named twice: give each a name, NAME=SOURCE")
        found.append(NewCamera(camera, _source(kind, source, base)))
    return found


def enough_good_parts(folder: Path) -> FoundPictures:
    """Return the pictures of good parts of a folder, as the trainer will find them.

    Raises InvalidConfiguration when there are too few for a training.
    """
    found = find_good_parts(folder)
    if len(found.files) < FEWEST_NORMALS:
        raise InvalidConfiguration(
            f"{printable(found.folder)} has {len(found.files)} pictures (.png, .jpg): {FEWEST_NORMALS} good "
            "parts are the fewest that a training and its threshold mean anything with, and 200 are a fair "
            "start"
        )
    return found


def line_yaml(new: NewLine, base: Path) -> str:
    """Return the line file, to be written into the folder ``base``.

    Raises InvalidConfiguration when a path has characters that no line file can hold.
    """
    line, product = _quoted(new.line), _quoted(new.product)
    cameras = "".join(
        f"  - {{id: {_quoted(camera.id)}, product: {product}, source: {_quoted(camera.source)}}}\n"
        for camera in new.cameras
    )
    return (
        "# Written by steadyline init. docs/line.yaml shows every field; steadyline run reads this file.\n"
        f"line: {line}\n"
        f"topics: {{prefix: {line}, partitions: 4}}\n"
        "store: file://./var/store\n"
        "products:\n"
        f"  {product}:\n"
        f"    picture: {new.picture}\n"
        f"    detector: {_quoted(new.detector)}\n"
        f"    normals: {_quoted(_from(base, new.normals))}\n"
        "cameras:\n" + cameras
    )


def default_name(folder: Path) -> str:
    """Return a name for a line from that of its folder; ``line`` where nothing of it can be used."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:32].strip("-")
    return name if NAME.fullmatch(name) else "line"


def _source(kind: str, source: str, base: Path) -> str:
    target, question, options = source.partition(":")[2].partition("?")
    if kind == "usb" and _NUMBER.fullmatch(target):
        target = f"/dev/video{target}"
    elif kind in ("folder", "video"):
        if not target or not Path(target).exists():
            raise InvalidConfiguration(f"{kind}:{target} is not there, from {printable(Path.cwd())}")
        if kind == "folder" and "recursive" not in {piece.partition("=")[0] for piece in options.split("&")}:
            _check_depth(Path(target))
        target = _from(base, Path(target))
    whole = f"{kind}:{target}{question}{options}"
    CameraSection(id="checked", product="checked", source=whole)
    return whole


def _check_depth(folder: Path) -> None:
    """Raise InvalidConfiguration when all pictures lie in folders below, which the camera would not see."""
    try:
        is_seen = bool(find_pictures(folder).files)
        is_deeper = not is_seen and bool(find_pictures(folder, _LOOKED_BELOW).files)
    except OSError as error:
        raise InvalidConfiguration(
            f"folder:{printable(folder)} cannot be listed: {error.strerror}"
        ) from error
    if is_deeper:
        raise InvalidConfiguration(
            f"folder:{printable(folder)} has pictures in the folders below it alone: add ?recursive=true, or "
            "name one of them"
        )


def _from(base: Path, path: Path) -> str:
    """Return a path as a file in ``base`` names it: a relative one while it lies below, else the whole."""
    whole = Path(os.path.abspath(path))
    below = whole.is_relative_to(base.resolve())
    return str(whole.relative_to(base.resolve())) if below else str(whole)


def _quoted(text: str) -> str:
    """Return a text as YAML takes it for one: in quotes unless it is plain and can be nothing else."""
    if _BARE.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    if any(unicodedata.category(character) in _UNWRITABLE for character in text):
        raise InvalidConfiguration(
            "a folder or a source has control characters in its name, or bytes that are no UTF-8, which no "
            "line file can hold: give the folder another name, or a link to it"
        )
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
