"""A line's part of a store, and folders, as files of a backup and back."""

import shutil
from collections.abc import Callable
from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.store import Store

Tell = Callable[[str], None]


def keys_of_line(store: Store, line: str) -> list[str]:
    """Return the keys of a store that are this line's: the second word of each says whose it is."""
    return [key for key in store.list("") if key.split("/")[1:2] == [line]]


def take_store(store: Store, line: str, folder: Path, tell: Tell) -> None:
    """Copy what a store holds of a line."""
    keys = keys_of_line(store, line)
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(key))
    tell(f"store: {len(keys)} files")


def put_back_store(store: Store, folder: Path, tell: Tell) -> None:
    """Write every file of a backup to a store under its key."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in paths:
        store.put(path.relative_to(folder).as_posix(), path.read_bytes())
    tell(f"store: {len(paths)} files")


def take_folder(source: Path, target: Path) -> None:
    """Copy a folder; raises InvalidConfiguration when it is none."""
    if not source.is_dir():
        raise InvalidConfiguration(f"{source} is no folder")
    shutil.copytree(source, target, symlinks=True)


def put_back_folder(source: Path, target: Path) -> None:
    """Copy a folder of a backup to where there is nothing yet."""
    check_empty(target)
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def check_empty(target: Path) -> None:
    """Raise InvalidConfiguration where a folder holds anything."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidConfiguration(f"{target} is not empty: a backup is restored to an empty folder only")
