"""One part of the set-up: made once, stamped with what it was made from, made again when that changes."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.setup.command import say

STAMP = ".made-from"


@dataclass(frozen=True)
class SetUpPart:
    """``make`` fills ``folder`` from ``sources``; ``contents`` names what must still be in it later."""

    name: str
    folder: Path
    sources: Sequence[Path]
    make: Callable[[Path], None]
    contents: Callable[[Path], list[str]]
    also_from: str = ""

    def provide(self) -> None:
        """Make the part unless its stamp says that it is there, whole, and made from these very files.

        The stamp is removed first and written last: a part that was left half-finished has none.
        """
        stamp, digest = self.folder / STAMP, self._digest()
        if self._is_whole(stamp, digest):
            return
        say(f"{self.name} …")
        started = time.monotonic()
        stamp.unlink(missing_ok=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.make(self.folder)
        known = {"made_from": digest, "contents": self.contents(self.folder)}
        stamp.write_text(json.dumps(known), encoding="utf-8")
        say(f"{self.name.split(' (')[0]}: done in {time.monotonic() - started:.0f} s")

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{sys.version_info[:2]} {self.folder} {self.also_from}".encode())
        for path in self.sources:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _is_whole(self, stamp: Path, digest: str) -> bool:
        try:
            known = json.loads(stamp.read_text(encoding="utf-8"))
            return bool(known == {"made_from": digest, "contents": self.contents(self.folder)})
        except (OSError, ValueError):
            return False
