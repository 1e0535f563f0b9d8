"""What following a drift finds, and where it would have a threshold: ``python -m bench.ablations.following``.

Held-out normals and a day of scores are drawn from one gamma distribution, with a tail upwards as detectors
have; good parts then drift by a share of the room between the normals' median and the threshold.
"""

from datetime import timedelta
from typing import Annotated

import numpy as np
import typer

from bench.command import run_main
from steadyline.contracts.model_event import Calibration
from steadyline.terminal import PlainConsole
from trainer.control.station_drift import allowance, next_step, room
from trainer.jobs.calibrate import calibration

DRIFTS = (0.0, 0.1, 0.2, 0.3, 0.5)
DEFECTIVE = (0.0, 0.4)
_SHAPE, _SCALE, _RATE = 9.0, 0.02, 0.01
_FRESH = 20_000  # scores that a rate of false alarms is counted on


def main(
    normals: Annotated[int, typer.Option(min=20, help="Held-out normals, by default 400.")] = 400,
    scores: Annotated[int, typer.Option(min=100, help="Scores of a day, by default 960.")] = 960,
    draws: Annotated[int, typer.Option(min=2, help="Draws of each row, by default 24.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all draws, by default 0.")] = 0,
) -> None:
    """Print a row for each drift and each share of defective parts."""
    console = PlainConsole(soft_wrap=True)
    console.print("| drift, in rooms | defective | false alarms before | found | wanted, in rooms | after |")
    console.print("|---|---|---|---|---|---|")
    known = calibration(np.random.default_rng(seed).gamma(_SHAPE, _SCALE, normals).tolist(), _RATE)
    for drift in DRIFTS:
        for defective in DEFECTIVE:
            random = [np.random.default_rng((seed, at)) for at in range(draws)]
            rows = [_draw(one, known, (drift, defective), scores) for one in random]
            before, found, wanted, after = np.array(rows).T
            console.print(
                f"| {drift:g} | {defective:.0%} | {np.median(before):.3f} | {found.mean():.2f} | "
                f"{wanted.mean():.2f} ± {wanted.std():.2f} | {np.median(after):.3f} |"
            )


def _draw(
    random: np.random.Generator, known: Calibration, parts: tuple[float, float], scores: int
) -> tuple[float, bool, float, float]:
    """Return the false alarms at the threshold of the training, whether a step was due, where the threshold
    is wanted, and the false alarms there; ``parts`` are their drift in rooms and the share of defective ones.
    """
    drift, defective = parts[0] * room(known), parts[1]
    spoilt = int(scores * defective)
    good = random.gamma(_SHAPE, _SCALE, scores - spoilt) + drift
    day = np.concatenate([good, good.max() + random.uniform(0, 0.5, spoilt)])
    step = next_step(day, known, 0.0, allowance(known, 0.1, timedelta(days=1)))
    fresh = random.gamma(_SHAPE, _SCALE, _FRESH) + drift
    rates = [float((fresh > known.threshold + shift).mean()) for shift in (0.0, step.wanted)]
    return rates[0], step.is_due, step.wanted / room(known), rates[1]


if __name__ == "__main__":
    raise SystemExit(run_main(main))
