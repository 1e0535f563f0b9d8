"""Keeps results as files, so that a killed run goes on where it was; each attack's file is written whole or
not at all.

A file belongs to a key (made of model, pictures and settings); with another key the result is made again.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from steadyline.replace_file import replace_file
from trainer.evaluation.results import Arrays
from trainer.evaluation.subject import Scores


def key_of(*parts: Any) -> str:
    """Return the digest of values that can be written as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


class ResultCache:
    """The results of one run; it implements the protocol of ``trainer.evaluation.results``.

    ``report`` gets the name of each result, and whether the result is made now.
    """

    def __init__(self, folder: Path, key: str, report: Callable[[str, bool], None]) -> None:
        self._folder, self._key, self._report = folder, key, report
        folder.mkdir(parents=True, exist_ok=True)

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the JSON that ``make`` returned, now or earlier."""
        known = self._read(name)
        self._report(name, known is None)
        if known is not None:
            return known["value"]
        began = time.process_time()
        value = make()
        body = {"key": self._key, "cpu_seconds": round(time.process_time() - began, 2), "value": value}
        replace_file(self._folder / f"{_file(name)}.json", json.dumps(body).encode())
        return value

    def scores(self, name: str, make: Callable[[], Scores]) -> Scores:
        """Return the scores (N,) that ``make`` returned, now or earlier."""
        return np.array(self.value(name, lambda: make().tolist()), np.float32)

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays that ``make`` returned, now or earlier; they lie in files beside the JSON that
        names them.
        """
        made: Arrays = {}

        def written() -> dict[str, str]:
            made.update(make())
            names = {part: f"{_file(name)}.{part}.npy" for part in made}
            for part, file in names.items():
                data = io.BytesIO()
                np.save(data, made[part], allow_pickle=False)
                replace_file(self._folder / file, data.getvalue())
            return names

        names = self.value(name, written)
        return made or {
            part: np.load(self._folder / file, allow_pickle=False) for part, file in names.items()
        }

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that all results of this key took."""
        rows = [self._read_file(path) for path in sorted(self._folder.glob("*.json"))]
        return round(sum(float(row["cpu_seconds"]) for row in rows if row is not None), 1)

    def _read(self, name: str) -> dict[str, Any] | None:
        return self._read_file(self._folder / f"{_file(name)}.json")

    def _read_file(self, path: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("key") == self._key else None


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
