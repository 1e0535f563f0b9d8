"""The pair that is exported: one module's score and another module's map."""

from torch import Tensor
from typing_extensions import override

from trainer.detector_protocol import Served


class PairServed(Served):
    """Both modules get the same picture. Attacks on the score meet ``verdict`` alone, whose bounds hold."""

    def __init__(self, verdict: Served, mapped: Served) -> None:
        super().__init__()
        self.verdict, self.map = verdict, mapped
        self.lipschitz = verdict.lipschitz

    @property
    @override
    def certified_part(self) -> Served | None:
        return self.verdict.certified_part or self.map.certified_part

    @property
    @override
    def halves(self) -> tuple[str, ...]:
        return self.verdict.halves

    @override
    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        verdict, mapped = self.verdict.outputs(x), self.map.outputs(x)
        found = {**mapped, **verdict, "map": mapped["map"]}
        return {name: found[name] for name in self.output_names}

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.verdict.score_float(x)[0], self.map.score_float(x)[1]

    @override
    def score_alone(self, x: Tensor) -> Tensor:
        return self.verdict.score_alone(x)

    @override
    def score_bounds(self, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor] | None:
        return self.verdict.score_bounds(x, epsilon)
