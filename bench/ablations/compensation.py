"""What compensating scores brings: ``python -m bench.ablations.compensation --data FOLDER --model PACKAGE``.

Of one package of ``either``, whose own compensation is left out, it fits the compensation anew to some of the
normals that the training held out, drawn again and again, for several shares, and prints what each does to
the AUROC of the test pictures. The spread over the draws says how much of that hangs on which normals were
seen.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from bench.ablations.either_package import open_either
from bench.command import run_main
from steadyline.line import PictureSection
from steadyline.terminal import PlainConsole
from trainer.arrays import Pictures
from trainer.data.normals import believed, from_folder
from trainer.detectors.either.served import EitherServed
from trainer.detectors.either.trait_compensation import TraitCompensation, TraitSlopes, traits_of
from trainer.evaluation.auroc import auroc
from trainer.evaluation.subject import floats
from trainer.folder import read_test_set
from trainer.learning.vary import CAMERA_CHANGES, views

SHARES = (0.5, 0.75, 0.9)
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ToldTraits:
    """Traits (N, 2) of pictures, and their scores (N,) without a compensation."""

    traits: NDArray[np.float64]
    scores: NDArray[np.float64]

    @staticmethod
    def of(module: EitherServed, pictures: Pictures) -> "ToldTraits":
        """Ask a module that has no compensation."""
        with torch.inference_mode():
            parts = torch.split(floats(pictures), _AT_ONCE)
            traits = torch.cat([traits_of(part, module.light(part)) for part in parts])
            scores = torch.cat([module.score_alone(part) for part in parts])
        return ToldTraits(traits.numpy().astype(np.float64), scores.numpy().astype(np.float64))


def main(
    data: Annotated[Path, typer.Option(help="Folder of the set in MVTec layout.")],
    model: Annotated[Path, typer.Option(help="Folder of a package of either.")],
    normals: Annotated[int, typer.Option(min=8, help="Normals of each draw, by default 60.")] = 60,
    draws: Annotated[int, typer.Option(min=1, help="Draws of normals, by default 12.")] = 12,
) -> None:
    """Print a row of the table and a line of JSON for each share."""
    torch.set_num_threads(1)
    console = PlainConsole(soft_wrap=True)
    card, module = open_either(model)
    module.compensation = None
    test = read_test_set(data, card)
    kept = believed(from_folder(data, PictureSection(grid=card.grid, channels=card.channels)))
    held_out = kept.pictures[kept.held_out]
    told = ToldTraits.of(module, test.pictures)
    seen = [ToldTraits.of(module, part) for part, _ in views(held_out, CAMERA_CHANGES, 0, len(held_out))]
    before = auroc(told.scores, test.anomalous)
    console.print(
        f"{len(held_out)} normals were held out, {min(normals, len(held_out))} are drawn {draws} times"
    )
    console.print("| share | clean | compensated | gain of the worst draw |")
    console.print("|---|---|---|---|")
    for share in SHARES:
        random = np.random.default_rng(0)
        gains = [
            auroc(told.scores + raised(told, slopes_of(seen, drawn, share)), test.anomalous) - before
            for drawn in (
                random.choice(len(held_out), min(normals, len(held_out)), replace=False) for _ in range(draws)
            )
        ]
        mean, spread = before + float(np.mean(gains)), float(np.std(gains))
        console.print(f"| {share:g} | {before:.3f} | {mean:.3f} ± {spread:.3f} | {min(gains):+.3f} |")
        console.print(
            json.dumps({"share": share, "clean": before, "gains": [round(one, 4) for one in gains]})
        )


def slopes_of(seen: list[ToldTraits], drawn: NDArray[np.intp], share: float) -> TraitSlopes:
    """Fit the slopes to every view of the normals that were drawn."""
    traits, scores = (
        np.concatenate([getattr(one, name)[drawn] for one in seen]) for name in ("traits", "scores")
    )
    return TraitSlopes.of(traits, scores, share)


def raised(told: ToldTraits, slopes: TraitSlopes) -> NDArray[np.float64]:
    """Return how far a compensation by these slopes raises each score (N,)."""
    found = TraitCompensation(slopes).of_traits(torch.from_numpy(told.traits).float())
    return found.numpy().astype(np.float64)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
