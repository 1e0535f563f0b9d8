"""A model server for unit tests: reads the same repository folder as Triton, answers constants, can fail.

What the graph in ``model.onnx`` says of itself is a number, the score that the version gives to every
picture.
"""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import numpy as np

from steadyline.errors import InferenceUnavailable
from steadyline.inference import Inferred, ModelRef, Pixels
from steadyline.model_folder import CONFIG
from steadyline.triton import RepositoryEntry
from tests.support.graphs import word_of


class FolderTriton:
    """Serves what was there at the last load; ``is_away`` plays a dead server."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.served: dict[tuple[str, int], float] = {}
        self.is_away = False
        self.refuses = ""
        self.loads = 0
        self.config = ""  # as the last load found it
        self.before_answer: Callable[[], object] = lambda: None  # what somebody else does meanwhile

    def is_server_ready(self) -> bool:
        return not self.is_away

    def load(self, name: str, within: timedelta) -> None:
        self._check()
        self.loads += 1
        if self.refuses:
            raise InferenceUnavailable(f"loading {name}: {self.refuses}")
        folder = self._root / name
        self.config = (folder / CONFIG).read_text(encoding="utf-8")
        versions = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())[-2:]
        for gone in [key for key in self.served if key[0] == name and key[1] not in versions]:
            del self.served[gone]
        for version in versions:
            content = word_of((folder / str(version) / "model.onnx").read_bytes())
            if content == "hangs":
                raise InferenceUnavailable(f"loading {name}: DEADLINE_EXCEEDED after {within}")
            if content == "broken":
                raise InferenceUnavailable(f"loading {name}: version {version} is at UNAVAILABLE state")
            self.served[name, version] = float(content)

    def index(self) -> list[RepositoryEntry]:
        self._check()
        return [RepositoryEntry(name, version, "READY", "") for name, version in self.served]

    def infer(self, ref: ModelRef, pictures: Pixels, traceparent: str | None = None) -> Future[Inferred]:
        self.before_answer()
        answer: Future[Inferred] = Future()
        if self.is_away or (ref.name, ref.version) not in self.served:
            answer.set_exception(InferenceUnavailable(f"{ref.name} version {ref.version} is not served"))
            return answer
        scores = np.full(len(pictures), self.served[ref.name, ref.version], np.float32)
        answer.set_result(Inferred(scores, np.zeros((len(pictures), 2, 2), np.float32)))
        return answer

    def restart(self) -> None:
        """Come back as a killed server does: nothing is loaded."""
        self.served.clear()

    def _check(self) -> None:
        if self.is_away:
            raise InferenceUnavailable("the server is away")
