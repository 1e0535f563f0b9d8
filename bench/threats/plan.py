"""Which attacks are run, and how large they are."""

from collections.abc import Mapping

from bench.threats.chosen import WorstOf, hues, lights, saturations, turned_and_shifted
from bench.threats.norms import FewPixels, NormDescent
from bench.threats.sticker import Sticker
from steadyline.grid import Grid
from trainer.evaluation.attacks import Attack, Pgd

STEP = 1 / 255
DEGREES, PIXELS = 3.0, 2.0
GAIN, OFFSET = 0.2, 0.05
HUE, SATURATION = 20.0, 0.4


def threats(grid: Grid, channels: int, steps: int, seed: int) -> Mapping[str, Attack]:
    """Return the attacks on pictures of a grid by their names, l_inf beside them for comparison.

    The radii of l2 and l1 are told as what they are for each value: root mean square, and mean. So those of
    2/255 are within reach of an l_inf attack of 2/255, and of few values by much more.
    """
    values, pixels = grid.pixels * channels, grid.pixels
    found: dict[str, Attack] = {}
    for size in (1, 2):
        found[f"l_inf {size}/255"] = Pgd(size * STEP, steps, seed=seed)
        found[f"l2 {size}/255 rms"] = NormDescent("l2", size * STEP * values**0.5, steps, seed)
        found[f"l1 {size}/255 mean"] = NormDescent("l1", size * STEP * values, steps, seed)
    for share in (0.001, 0.005):
        found[f"l0 {share:.1%} of pixels"] = FewPixels(max(1, round(share * pixels)))
    for share in (0.005, 0.02):
        found[f"sticker {share:.1%} of the frame"] = Sticker(share, steps)
    found[f"turned {DEGREES:g}°, shifted {PIXELS:g} px"] = WorstOf(turned_and_shifted(DEGREES, PIXELS))
    found[f"light ±{GAIN:.0%} ±{OFFSET:.0%}"] = WorstOf(lights(GAIN, OFFSET))
    if channels > 1:
        found[f"hue ±{HUE:g}°"] = WorstOf(hues(HUE))
        found[f"saturation ±{SATURATION:.0%}"] = WorstOf(saturations(SATURATION))
    return found
