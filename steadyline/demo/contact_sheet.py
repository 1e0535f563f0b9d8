"""Draw frames beside their maps, as one PNG for people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from steadyline.contracts.score import Score
from steadyline.map_png import glow_of
from steadyline.picture import LARGEST, decode, inspect
from steadyline.store import Store

TILE = 240
_COVER = 0.6  # of the frame, by the colour over it
# Violet, red, orange, pale yellow: equal steps from dark to light, readable without colour too.
_STOPS = np.array([[87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float64)


def contact_sheet(scores: Sequence[Score], store: Store, path: Path) -> Path:
    """Write one row per score: frame, frame with its map, figures; scores without evidence are left out."""
    kept = [score for score in scores if score.picture_uri and score.map_uri]
    sheet = Image.new("RGB", (TILE * 2 + 30, (TILE + 34) * max(1, len(kept)) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for row, score in enumerate(kept):
        top = 10 + row * (TILE + 34)
        data = store.get(score.picture_uri or "")
        frame = Image.fromarray(decode(data, inspect(data, LARGEST), "rgb")).resize((TILE, TILE))
        cells = Image.fromarray(glow_of(store.get(score.map_uri or "")).astype(np.float32))
        glow = np.asarray(cells.resize((TILE, TILE), Image.Resampling.BILINEAR))
        sheet.paste(frame, (10, top))
        sheet.paste(glowing(frame, glow), (TILE + 20, top))
        known = "" if score.calibrated is None else f" ({score.calibrated:.2f})"
        text = f"{score.frame}  score {score.score:.3f}{known}  p {score.p_value:.4f}  v{score.model_version}"
        draw.text((10, top + TILE + 6), text, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def glowing(frame: Image.Image, glow: NDArray[np.float32]) -> Image.Image:
    """Return a frame with its map over it: in a perceptual colour scale where ``glow`` (h, w) is above 0, and
    as it is elsewhere.
    """
    position = glow.clip(0, 1).astype(np.float64) * (len(_STOPS) - 1)
    low = np.clip(position.astype(int), 0, len(_STOPS) - 2)
    part = (position - low)[..., None]
    colour = _STOPS[low] * (1 - part) + _STOPS[low + 1] * part
    cover = np.where(glow > 0, _COVER, 0)[..., None]
    return Image.fromarray((np.asarray(frame) * (1 - cover) + colour * cover).astype(np.uint8), "RGB")


def most_anomalous(scores: Sequence[Score], count: int) -> list[Score]:
    """Return the ``count`` highest anomalous scores with evidence, of different pictures if possible."""
    ranked = sorted(
        (score for score in scores if score.verdict == "anomalous" and score.picture_uri),
        key=lambda score: score.p_value - score.score * 1e-6,
    )
    chosen: list[Score] = []
    values: set[float] = set()
    for score in ranked:
        if round(score.score, 4) not in values:
            values.add(round(score.score, 4))
            chosen.append(score)
        if len(chosen) == count:
            break
    return chosen
