"""Draw what a person gets, for the README: ``python -m tools.shown_map [--out PICTURE]``.

A set of the synthetic camera's parts is written, ``fit`` trains on it, and what the model says of parts that
it never saw is drawn: the frame, its map as evidence has it, the verdict, and the true outline of the defect.
"""

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import render, truth, truth_mask
from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.map_png import GREYS, encode_map
from steadyline.picture import encode_png
from steadyline.score_scale import ScoreScale
from steadyline.terminal import PlainConsole
from trainer.folder import open_package
from trainer.jobs.export import OnnxModel

SIDE, GOOD, SHOWN = 160, 120, 4
_GAP, _TEXT = 12, 34
_GLOW = np.array([255, 64, 32], np.float32)


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame (S, S), the greys of its map at the same size, the true mask, and what is written under it."""

    frame: NDArray[np.uint8]
    greys: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    said: str


def main(
    out: Annotated[Path, typer.Option(help="The picture to write, by default that of the README.")] = Path(
        "docs/pictures/map.png"
    ),
    steps: Annotated[int, typer.Option(min=1, help="Training steps, by default 120.")] = 120,
) -> None:
    """Train on good parts of the synthetic camera, and draw four frames with their maps."""
    with TemporaryDirectory() as work:
        shown = list(_shown(Path(work), steps))
    _drawn(shown).save(out, optimize=True)
    PlainConsole().print(f"{out}: {'; '.join(one.said for one in shown)}")


def _shown(work: Path, steps: int) -> Iterator[ShownFrame]:
    """Yield a good part and the first ones with a defect of each kind, which no training has seen."""
    good, package = work / "good", work / "package"
    good.mkdir()
    clean = SyntheticOptions(size=SIDE, defect_rate=0)
    for number in range(1, GOOD + 1):
        (good / f"{number:03}.png").write_bytes(encode_png(render(clean, number)))
    words = ["--data", str(good), "--out", str(package), "--steps", str(steps)]
    done = subprocess.run([sys.executable, "-m", "trainer", "fit", *words], check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)
    card, _ = open_package(package)
    calibration = card.calibrations[PRODUCT_WIDE]
    scale = ScoreScale.of(calibration.scores, calibration.threshold)
    run = OnnxModel((package / "model.onnx").read_bytes())
    spoilt = clean.model_copy(update={"defect_rate": 0.5})
    for sequence in _chosen(spoilt):
        frame = render(spoilt, sequence)
        scores, maps = run(frame[None, ..., None])
        greys = Image.open(io.BytesIO(encode_map(maps[0], scale.on_map(maps[0], float(scores[0])))))
        said = scale.calibrated(float(scores[0]))
        verdict = "anomalous" if said > 0.5 else "normal"
        resized = np.asarray(greys.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        yield ShownFrame(frame, resized, truth_mask(spoilt, sequence), f"{said:.2f} {verdict}")


def _chosen(options: SyntheticOptions) -> list[int]:
    """Return the numbers of the frames to show: the first good one, then one of each kind of defect."""
    found: dict[str, int] = {}
    for sequence in range(GOOD + 1, 2 * GOOD):
        defect = truth(options, sequence)
        found.setdefault("" if defect is None else defect.kind, sequence)
    return [found.pop(""), *(found[kind] for kind in sorted(found)[: SHOWN - 1])]


def _drawn(shown: list[ShownFrame]) -> Image.Image:
    """Return the frames above and, below each, the same one with what its map says beyond the threshold."""
    step = SIDE + _GAP
    sheet = Image.new("RGB", (step * len(shown) - _GAP, 2 * step + _TEXT), "white")
    write = ImageDraw.Draw(sheet)
    for place, one in enumerate(shown):
        left = place * step
        plain = np.repeat(one.frame[..., None], 3, axis=2).astype(np.float32)
        above = np.clip((one.greys.astype(np.float32) - GREYS / 2) / (GREYS / 2), 0, 1)[..., None]
        weight = np.where(above > 0, 0.25 + 0.6 * above, 0)
        lit = plain * (1 - weight) + _GLOW * weight
        lit[_outline(one.mask)] = (255, 255, 255)
        for row, picture in enumerate((plain, lit)):
            sheet.paste(Image.fromarray(picture.astype(np.uint8)), (left, row * step))
        write.text((left + 4, 2 * step), one.said, fill="black", font_size=15)
    return sheet


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a mask that have a neighbour outside of it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


if __name__ == "__main__":
    typer.run(main)
