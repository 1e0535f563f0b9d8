"""What fusing two halves brings: ``python -m bench.ablations.halves --data FOLDER --model PACKAGE``.

Of one package of ``either`` it prints, for each half alone and for ways to fuse them: the AUROC of all test
pictures, alarms and defects caught at the threshold of the normals that the training held out, what an attack
that hides defects leaves of the AUROC, searched against that very score, and how well the map locates where
the set has masks. So the robust half alone and the fused score are compared with the same
weights on the same pictures.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from bench.ablations.either_package import open_either
from bench.command import run_main
from steadyline.line import PictureSection
from steadyline.terminal import PlainConsole
from trainer.arrays import Pictures
from trainer.data.normals import believed, from_folder
from trainer.detector_protocol import Served
from trainer.detectors.either.served import EitherServed
from trainer.evaluation.attacks import Pgd, at_once
from trainer.evaluation.auroc import auroc
from trainer.evaluation.localisation import localisation
from trainer.evaluation.subject import AttackTarget, floats
from trainer.folder import read_test_set
from trainer.jobs.calibrate import calibration

Fuse = Callable[[Tensor], Tensor]

SERVED = "robust and what patch has above 0"

# Of the halves' scores (B, 2) or maps (B, 2, h, w), each in units of normals that neither was trained on.
FUSIONS: Mapping[str, Fuse] = {
    "patch alone": lambda halves: halves[:, 0],
    "robust alone": lambda halves: halves[:, 1],
    "maximum": lambda halves: halves.amax(1),
    "sum": lambda halves: halves.sum(1),
    "sum of what is above 0": lambda halves: halves.clamp(min=0).sum(1),
    SERVED: lambda halves: halves[:, 1] + halves[:, 0].clamp(min=0),
    "norm of what is above 0": lambda halves: halves.clamp(min=1e-3).pow(2).sum(1).sqrt(),
}
COMPENSATED = "the same, compensated: as it is served"


class Fused(Served):
    """The halves of a package, fused in another way, compensated as the package does it or not."""

    def __init__(self, halves: EitherServed, fuse: Fuse, is_compensated: bool = False) -> None:
        super().__init__()
        self._halves, self.fuse = halves, fuse
        self._compensation = halves.compensation if is_compensated else None

    @override
    def score_alone(self, x: Tensor) -> Tensor:
        told = (self._halves.raw_halves(x) - self._halves.centre) / self._halves.spread
        return self._compensated(x, self.fuse(told))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores, maps = self._halves.told_halves(x)
        return self._compensated(x, self.fuse(scores)), self.fuse(maps)

    def scores(self, told: "ToldHalves") -> Tensor:
        """Return the scores (N,) of pictures that the halves were asked of."""
        fused = self.fuse(told.scores)
        return fused if self._compensation is None else fused + told.raised

    def _compensated(self, x: Tensor, fused: Tensor) -> Tensor:
        return fused if self._compensation is None else fused + self._compensation(x, self._halves.light(x))


@dataclass(frozen=True, slots=True)
class ToldHalves:
    """What both halves say of pictures (N, H, W, C): scores (N, 2) and maps (N, 2, h, w), in their units; and
    how far the package raises the score of each (N,).
    """

    pictures: Pictures
    scores: Tensor
    maps: Tensor
    raised: Tensor

    @staticmethod
    def of(module: EitherServed, pictures: Pictures) -> "ToldHalves":
        """Ask both halves of each picture, once for all fusions."""
        x = floats(pictures)
        with torch.inference_mode():
            parts = torch.split(x, at_once(x))
            answers = [module.told_halves(part) for part in parts]
            raised = [
                torch.zeros(len(part))
                if module.compensation is None
                else module.compensation(part, module.light(part))
                for part in parts
            ]
        scores, maps = (torch.cat(one) for one in zip(*answers, strict=True))
        return ToldHalves(pictures, scores, maps, torch.cat(raised))


@dataclass(frozen=True, slots=True)
class HidingAttack:
    """PGD with ``steps`` of each size of ``epsilons``, in steps of 8 bits, on ``defects`` pictures."""

    epsilons: tuple[float, ...]
    steps: int
    defects: int


def main(
    data: Annotated[Path, typer.Option(help="Folder of the set in MVTec layout.")],
    model: Annotated[Path, typer.Option(help="Folder of a package of either.")],
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="Largest change of a pixel, of 255; repeatable; by default 2 and 4."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the attack, by default 20.")] = 20,
    attacked: Annotated[
        int, typer.Option(min=1, help="Defective pictures that are attacked, by default 60.")
    ] = 60,
) -> None:
    """Print a row of the table and a line of JSON for each way to fuse."""
    torch.set_num_threads(1)
    console = PlainConsole(soft_wrap=True)
    card, module = open_either(model)
    test = read_test_set(data, card)
    attack = HidingAttack(tuple(epsilon or (2.0, 4.0)), steps, attacked)
    sizes = " | ".join(f"hidden, {size:g}/255" for size in attack.epsilons)
    located = " | pixel | AUPRO" if test.masks is not None else ""
    console.print(f"| score | alarms | caught | clean | of the attacked | {sizes}{located} | CPU s |")
    console.print("|---" * (6 + len(attack.epsilons) + located.count("|")) + "|")
    told = ToldHalves.of(module, test.pictures)
    kept = believed(from_folder(data, PictureSection(grid=card.grid, channels=card.channels)))
    held_out = ToldHalves.of(module, kept.pictures[kept.held_out])
    rows = [(name, fuse, False) for name, fuse in FUSIONS.items()]
    rows += [(COMPENSATED, FUSIONS[SERVED], True)] if module.compensation is not None else []
    for name, fuse, is_compensated in rows:
        began, fused = time.process_time(), Fused(module, fuse, is_compensated)
        found = judged(fused.scores(told), fused.scores(held_out), test.anomalous, card.false_alarm_rate)
        found |= figures(fused, told, test.anomalous, attack)
        if test.masks is not None:
            found |= where(fuse, told, test.located, test.masks)
        found["cpu_seconds"] = round(time.process_time() - began, 1)
        console.print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in found.values()) + " |")
        console.print(json.dumps({"score": name, **found}))


def figures(
    module: Fused, told: ToldHalves, anomalous: NDArray[np.bool_], attack: HidingAttack
) -> dict[str, float]:
    """Return the AUROC of all pictures, that of the ones under attack, and what it leaves.

    Under attack are some defects, spread evenly over the set; all normals stay as they are.
    """
    clean = module.scores(told).numpy()
    defects = np.flatnonzero(anomalous)
    chosen = defects[np.unique(np.linspace(0, len(defects) - 1, attack.defects).astype(int))]
    hidden = AttackTarget.of(module, told.pictures[chosen], anomalous[chosen])
    normals = clean[~anomalous]
    truth = np.arange(len(normals) + len(chosen)) >= len(normals)

    def left(scores: NDArray[np.float32]) -> float:
        return round(auroc(np.concatenate([normals, scores]), truth), 4)

    found = {"clean": round(auroc(clean, anomalous), 4), "of_attacked": left(clean[chosen])}
    for size in attack.epsilons:
        after = hidden.scores(hidden.attacked(Pgd(size / 255, attack.steps)))
        found[f"hidden_{size:g}"] = left(after)
    return found


def judged(scores: Tensor, held_out: Tensor, anomalous: NDArray[np.bool_], rate: float) -> dict[str, float]:
    """Return the shares of good and of defective pictures above the threshold that normals (M,) which the
    training ``held_out`` set for a false-alarm ``rate``.
    """
    is_above = scores.numpy() > calibration(held_out.tolist(), rate).threshold
    return {
        "alarms": round(float(is_above[~anomalous].mean()), 4),
        "caught": round(float(is_above[anomalous].mean()), 4),
    }


def where(
    fuse: Fuse, told: ToldHalves, located: NDArray[np.bool_], masks: NDArray[np.bool_]
) -> dict[str, float]:
    """Return pixel AUROC and AUPRO of the maps of the pictures that are ``located`` by ``masks``."""
    maps = fuse(told.maps[torch.from_numpy(located)])[:, None]
    enlarged = functional.interpolate(maps, size=masks.shape[1:], mode="bilinear")[:, 0]
    found = localisation(enlarged.numpy(), masks[located])
    return {"pixel": round(found.auroc, 4), "aupro": round(found.aupro, 4)}


if __name__ == "__main__":
    raise SystemExit(run_main(main))
