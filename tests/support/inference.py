"""An inference server for unit tests: answers what it was given, can be away, slow, or wrong."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import numpy as np

from steadyline.errors import ContractBroken, InferenceUnavailable
from steadyline.inference import CERTIFIED_SCORE, Inferred, ModelRef, Pixels

Answer = Callable[[Pixels], Inferred]


class MemoryInference:
    """Serves ``versions``, whose answers may raise ContractBroken.

    While ``is_slow`` requests wait for ``release``; while ``is_away`` they fail.
    """

    def __init__(self) -> None:
        self.versions: dict[tuple[str, int], Answer] = {}
        self.asked: list[tuple[ModelRef, int]] = []
        self.is_away = False
        self.is_slow = False
        self._waiting: list[Callable[[], None]] = []

    @property
    def waiting(self) -> int:
        """Requests that wait for ``release``."""
        return len(self._waiting)

    def serve(self, name: str, version: int, answer: Answer) -> None:
        """Serve a version."""
        self.versions[name, version] = answer

    def retire(self, name: str, version: int) -> None:
        """Serve a version no more."""
        del self.versions[name, version]

    def infer(self, ref: ModelRef, pictures: Pixels, traceparent: str | None = None) -> Future[Inferred]:
        """See ``Inference.infer``."""
        self.asked.append((ref, len(pictures)))
        future: Future[Inferred] = Future()

        def answer() -> None:
            if self.is_away or (ref.name, ref.version) not in self.versions:
                future.set_exception(InferenceUnavailable(f"{ref} is not served"))
                return
            try:
                future.set_result(_asked(ref, self.versions[ref.name, ref.version](pictures)))
            except ContractBroken as error:
                future.set_exception(error)

        if self.is_slow:
            self._waiting.append(answer)
        else:
            answer()
        return future

    def release(self, count: int | None = None) -> None:
        """Answer the oldest ``count`` waiting requests, all without a number."""
        due, self._waiting = self._waiting[:count], self._waiting[count:] if count is not None else []
        for answer in due:
            answer()


def _asked(ref: ModelRef, answer: Inferred) -> Inferred:
    """Return no output that was not asked for; raises ContractBroken where one is missing."""
    if ref.is_certified and answer.certified_scores is None:
        raise ContractBroken(f"{ref} has no output {CERTIFIED_SCORE!r}")
    return replace(
        answer,
        certified_scores=answer.certified_scores if ref.is_certified else None,
        halves=answer.halves if ref.has_halves else None,
    )


def constant(score: float) -> Answer:
    """Return an answer that gives every picture the same score."""

    def answer(pictures: Pixels) -> Inferred:
        shape = len(pictures)
        return Inferred(np.full(shape, score, np.float32), np.full((shape, 2, 2), score, np.float32))

    return answer
