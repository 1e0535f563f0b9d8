"""The one walk over folders of pictures: what is used, what is left out, and why.

Left out everywhere are names that begin with a dot (``.ipynb_checkpoints``, ``._x.png``, ``.Trash-1000``) and
what systems put beside pictures (``@eaDir``, ``Thumbs.db``). Links to files and to folders are followed, but
no link to a folder that was walked over before.
"""

import os
import stat
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.terminal import visible

ENDINGS = frozenset({".png", ".jpg", ".jpeg"})
ANY_DEPTH = 64
_GOOD_PARTS = ("train/good", ".", "train")  # where good parts may lie in a folder, the first with pictures

HIDDEN = "hidden, or of the system"
OTHER_ENDING = "no .png, .jpg or .jpeg"
TOO_DEEP = "a folder within it"
NO_FILE = "no file that can be read"
SEEN = "a link to a folder that was walked over already"

_OF_THE_SYSTEM = frozenset(
    {
        "@eadir",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "__macosx",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)


@dataclass(frozen=True, slots=True)
class FoundPictures:
    """``files`` by path, sorted by it, with their states; ``left_out`` counts by reason, each with a name."""

    folder: Path
    files: dict[Path, os.stat_result]
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """Return what is to be logged once of this walk."""
        return {"folder": printable(self.folder), "used": len(self.files), "left_out": self.reasons()}

    def reasons(self) -> dict[str, str]:
        """Return why names were left out, with how many they are and one of them."""
        return {why: f"{count}, as {self.examples[why]}" for why, count in self.left_out.items()}


def find_pictures(folder: Path, depth: int = 1, endings: Collection[str] | None = ENDINGS) -> FoundPictures:
    """Return the files of a folder with one of ``endings``, of any case, or with any when it is None.

    ``depth`` 1 is the folder itself, 2 also the folders in it. Raises OSError when the folder cannot be
    listed.
    """
    walk = _Walk(folder, endings)
    walk.over(folder, depth)
    files = {path: walk.files[path] for path in sorted(walk.files)}
    return FoundPictures(folder, files, walk.left_out, walk.examples)


def find_good_parts(folder: Path) -> FoundPictures:
    """Return the pictures of good parts that a person means by a folder, with where they lie.

    These are those of ``train/good`` in it, else its own, else those of ``train``; there may be none. Raises
    InvalidConfiguration when the folder is not there or cannot be listed.
    """
    try:
        if not folder.is_dir():
            raise InvalidConfiguration(
                f"{printable(folder)} is no folder: name one with pictures of good parts"
            )
        places = [folder / name for name in _GOOD_PARTS if (folder / name).is_dir()]
        found = (find_pictures(place) for place in places)
        return next((good for good in found if good.files), FoundPictures(folder, {}))
    except OSError as error:
        raise InvalidConfiguration(f"{printable(folder)} cannot be listed: {error.strerror}") from error


def sub_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder that the walk would enter, sorted; there are none in none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_left_out(path.name))


def is_left_out(name: str) -> bool:
    """Tell whether a file or folder of this name belongs to a system and not to a user."""
    return name.startswith(".") or name.lower() in _OF_THE_SYSTEM


def printable(path: Path) -> str:
    """Return a path as text that can be printed and sent, whatever bytes its name has."""
    return visible(os.fsencode(path).decode("utf-8", "backslashreplace"))


class _Walk:
    """Enters each folder of the tree, and no folder twice by links: links in a circle must not multiply."""

    def __init__(self, root: Path, endings: Collection[str] | None) -> None:
        self._root, self._endings = root, endings
        state = root.stat()
        self._seen = {(state.st_dev, state.st_ino)}
        self.files: dict[Path, os.stat_result] = {}
        self.left_out: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def over(self, folder: Path, depth: int) -> None:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            path = folder / entry.name
            why = HIDDEN if is_left_out(entry.name) else self._take(entry, path, depth)
            if why is not None:
                self.left_out[why] += 1
                self.examples.setdefault(why, printable(path.relative_to(self._root)))

    def _take(self, entry: os.DirEntry[str], path: Path, depth: int) -> str | None:
        """Take a file, or walk over a folder; return why not."""
        try:
            state = entry.stat()
            if stat.S_ISDIR(state.st_mode):
                return self._enter(entry, state, path, depth)
        except OSError:
            return NO_FILE  # a broken link, or removed since it was listed
        if not stat.S_ISREG(state.st_mode):
            return NO_FILE
        if self._endings is not None and path.suffix.lower() not in self._endings:
            return OTHER_ENDING
        self.files[path] = state
        return None

    def _enter(self, entry: os.DirEntry[str], state: os.stat_result, path: Path, depth: int) -> str | None:
        if depth <= 1:
            return TOO_DEEP
        identity = (state.st_dev, state.st_ino)
        if entry.is_symlink() and identity in self._seen:
            return SEEN
        self._seen.add(identity)
        self.over(path, depth - 1)
        return None
