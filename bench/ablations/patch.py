"""Measures what the patch detector scores by, and what varied normals are good for, clean and shifted.

Run it with ``python -m bench.ablations.patch --data FOLDER``.

For normals as they are and for varied ones it prints image AUROC, false alarms and caught defects of both
distances, of the greater one and of their sum: clean, under sensor noise of .06 and as JPEG of quality 20.
The threshold is passed by 5 % of every other good test picture as it is; alarms are those of the others.
Clean AUROC is also told of every other picture (even) and of the rest (odd), so that a choice made on the
even ones can be held against the odd ones.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from bench.command import run_main
from steadyline.grid import Grid
from steadyline.line import PictureSection
from steadyline.prepare import prepare
from steadyline.terminal import PlainConsole
from trainer.arrays import Pictures
from trainer.backbone.choice import BackboneChoice, chosen_backbone
from trainer.data.mvtec import Preparation, TestSet, read_test, with_native
from trainer.data.normals import from_folder
from trainer.data.snapshot import make_snapshot
from trainer.detectors.patch.fitting import PatchFitting, as_floats
from trainer.detectors.patch.profile import profile_named
from trainer.detectors.patch.served import PatchServed
from trainer.detectors.profiles import with_overrides
from trainer.evaluation.auroc import auroc
from trainer.evaluation.corruption import CORRUPTIONS, Severity

SHIFTS = ("noise", "jpeg")
SEVERITY: Severity = 2  # noise of .06, quality 20
ALARMS = 0.05
BATCH = 8

Distances = NDArray[np.float32]  # (2, N): nearest, gaussian


def main(
    data: Annotated[Path, typer.Option(help="Folder of a set in MVTec layout.")],
    size: Annotated[int, typer.Option(help="Side of the input in pixels.")] = 160,
    normals: Annotated[int, typer.Option(help="Most normals that are fitted, evenly over the set.")] = 200,
    every: Annotated[int, typer.Option(help="Of the defective pictures every so manieth is shifted.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the fit.")] = 0,
) -> None:
    """Print a table row for each fit and way to score."""
    torch.set_num_threads(1)
    how = Preparation(Grid.square(size), "gray")
    snapshot = make_snapshot(from_folder(data, PictureSection(size=size, channels="gray")))
    trained = snapshot.pictures[~snapshot.held_out]
    trained = trained[np.linspace(0, len(trained) - 1, min(normals, len(trained))).astype(int)]
    test = with_native(read_test(data, how), data, how)
    rows = _shifted_rows(test, every)
    console = PlainConsole(soft_wrap=True)
    console.print("| fit | score | clean (even, odd) | alarms | caught | " + " | ".join(SHIFTS) + " |")
    console.print("|" + "---|" * (5 + len(SHIFTS)))
    shifted = {name: _shifted(test, name, rows, how) for name in SHIFTS}
    for copies in (0, 3):
        profile = with_overrides(profile_named("cpu"), {"vary.copies": copies, "judged": "max"})
        backbone = chosen_backbone(BackboneChoice())[0]
        module = PatchFitting(profile, seed, lambda done, of: None).fit(backbone, trained)
        clean = _distances(module, test.pictures)
        moved = {name: _distances(module, pictures) for name, pictures in shifted.items()}
        for name in ("nearest", "gaussian", "max", "sum"):
            told = _told(name, test.anomalous, clean, (rows, moved))
            console.print(f"| {'varied' if copies else 'as they are'} | {name} | {told} |")


def _shifted_rows(test: TestSet, every: int) -> NDArray[np.intp]:
    """Return which pictures are shifted: the good ones that set no threshold, and some defective ones."""
    good, bad = np.flatnonzero(~test.anomalous), np.flatnonzero(test.anomalous)
    return np.sort(np.concatenate([good[1::2], bad[::every]]))


def _shifted(test: TestSet, name: str, rows: NDArray[np.intp], how: Preparation) -> Pictures:
    assert test.native is not None, "the test set comes with its native pictures"
    changed = (CORRUPTIONS[name](test.native[row][None], SEVERITY)[0] for row in rows)
    return np.stack([prepare(picture, how.grid, how.channels) for picture in changed])


def _distances(module: PatchServed, pictures: Pictures) -> Distances:
    found = []
    with torch.inference_mode():
        for start in range(0, len(pictures), BATCH):
            both = module.distances(as_floats(pictures[start : start + BATCH]))
            maps = torch.stack([*both, torch.maximum(*both), both[0] + both[1]])
            found.append(maps.amax((2, 3)).numpy())
    told: Distances = np.concatenate(found, axis=1)
    return told


def _told(
    name: str,
    anomalous: NDArray[np.bool_],
    clean: Distances,
    shifted: tuple[NDArray[np.intp], dict[str, Distances]],
) -> str:
    place = ("nearest", "gaussian", "max", "sum").index(name)
    scores, (rows, moved) = clean[place], shifted
    good, bad = np.flatnonzero(~anomalous), np.flatnonzero(anomalous)
    calibrating = np.sort(scores[good[::2]])
    threshold = calibrating[min(len(calibrating), int(np.ceil((len(calibrating) + 1) * (1 - ALARMS)))) - 1]
    halves = [np.concatenate([good[start::2], bad[start::2]]) for start in (0, 1)]
    even, odd = (auroc(scores[half], anomalous[half]) for half in halves)
    alarms, caught = np.mean(scores[good[1::2]] > threshold), np.mean(scores[bad] > threshold)
    parts = [f"{auroc(scores, anomalous):.3f} ({even:.3f}, {odd:.3f})", f"{alarms:.2f}", f"{caught:.2f}"]
    kinds = anomalous[rows]
    before = auroc(scores[rows], kinds)
    for found in moved.values():
        own = found[place]
        lost = before - auroc(own, kinds)
        parts.append(
            f"lost {lost:.3f}, alarms {np.mean(own[~kinds] > threshold):.2f}, "
            f"caught {np.mean(own[kinds] > threshold):.2f}"
        )
    return " | ".join(parts)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
