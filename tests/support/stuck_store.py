"""A store on the disk that hangs, as a lost NFS server does: each call waits while there is a file STUCK.

The first that waits leaves a file WAITING beside it.
"""

import os
import threading
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from typing_extensions import override

STUCK, WAITING = "STUCK", "WAITING"
LOOK_SECONDS = 0.02


def wait_while_stuck(path: str) -> None:
    """Return once no folder above ``path`` holds the file that makes the store hang."""
    folder = os.path.dirname(path)
    while folder != os.path.dirname(folder):
        while os.path.exists(os.path.join(folder, STUCK)):
            Path(folder, WAITING).touch()
            threading.Event().wait(LOOK_SECONDS)
        folder = os.path.dirname(folder)


class StuckFiles(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The disk under the protocol ``stuck``; made known to fsspec by an entry point or by the test itself."""

    protocol = "stuck"
    root_marker = "/"

    @classmethod
    @override
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).removeprefix("stuck://"))

    @override
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> Any:
        wait_while_stuck(path)
        self.makedirs(os.path.dirname(path), exist_ok=True)
        return super().pipe_file(path, value, mode, **options)

    @override
    def cat_file(self, path: str, start: Any = None, end: Any = None, **options: Any) -> Any:
        wait_while_stuck(path)
        return super().cat_file(path, start, end, **options)

    @override
    def exists(self, path: str, **options: Any) -> Any:
        wait_while_stuck(path)
        return super().exists(path, **options)

    @override
    def find(self, path: str, *arguments: Any, **options: Any) -> Any:
        wait_while_stuck(path)
        return super().find(path, *arguments, **options)

    @override
    def rm(self, path: Any, recursive: bool = False, maxdepth: Any = None) -> None:
        wait_while_stuck(str(path))
        super().rm(path, recursive, maxdepth)


def made_known(folder: Path) -> dict[str, str]:
    """Return the environment in which a process knows ``stuck://``, by an entry point in ``folder``."""
    package = folder / "stuck_store-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck-store\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[fsspec.specs]\nstuck = {__name__}:{StuckFiles.__name__}\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[2])])}
