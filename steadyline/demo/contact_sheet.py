"""Draw frames beside their maps, as one PNG for people."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from steadyline.contracts.score import Score
from steadyline.glow import under_map
from steadyline.picture import LARGEST, decode, inspect
from steadyline.store import Store

TILE = 240


def contact_sheet(scores: Sequence[Score], store: Store, path: Path) -> Path:
    """Write one row per score: frame, frame with its map, figures; scores without evidence are left out."""
    kept = [score for score in scores if score.picture_uri and score.map_uri]
    sheet = Image.new("RGB", (TILE * 2 + 30, (TILE + 34) * max(1, len(kept)) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for row, score in enumerate(kept):
        top = 10 + row * (TILE + 34)
        data = store.get(score.picture_uri or "")
        frame = Image.fromarray(decode(data, inspect(data, LARGEST), "rgb")).resize((TILE, TILE))
        sheet.paste(frame, (10, top))
        sheet.paste(under_map(frame, store.get(score.map_uri or "")), (TILE + 20, top))
        known = "" if score.calibrated is None else f" ({score.calibrated:.2f})"
        text = f"{score.frame}  score {score.score:.3f}{known}  p {score.p_value:.4f}  v{score.model_version}"
        draw.text((10, top + TILE + 6), text, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


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
