"""The module that is exported with a companion: score and map of the main module, and the certified score."""

from torch import Tensor
from typing_extensions import override

from steadyline.inference import CERTIFIED_SCORE
from trainer.detector_protocol import Served


class WithCompanion(Served):
    """Both modules get the same picture. Gate, attacks and reports meet ``main`` alone: the companion has no
    say in score and map.
    """

    def __init__(self, main: Served, companion: Served) -> None:
        super().__init__()
        self.main, self.companion = main, companion
        self.lipschitz = main.lipschitz

    @property
    @override
    def certified_part(self) -> Served | None:
        return self.companion

    @property
    @override
    def halves(self) -> tuple[str, ...]:
        return self.main.halves

    @override
    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        found = {**self.main.outputs(x), CERTIFIED_SCORE: self.companion.score_alone(x)}
        return {name: found[name] for name in self.output_names}

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.main.score_float(x)

    @override
    def score_alone(self, x: Tensor) -> Tensor:
        return self.main.score_alone(x)

    @override
    def score_bounds(self, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor] | None:
        return self.main.score_bounds(x, epsilon)
