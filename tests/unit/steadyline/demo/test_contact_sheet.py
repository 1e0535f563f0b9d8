"""The contact sheet shows each kept frame beside its map, which glows where it is above the threshold."""

import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from steadyline.contracts.score import Score
from steadyline.demo.contact_sheet import TILE, contact_sheet
from steadyline.map_png import encode_map
from steadyline.picture import encode_png
from steadyline.score_scale import ScoreScale
from steadyline.store import Store
from tests.support.golden import EXAMPLES


def test_a_row_shows_the_frame_and_its_map_and_scores_without_evidence_are_left_out(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    anomaly_map = np.full((4, 4), 0.01, np.float32)
    anomaly_map[3, 0] = 0.02
    uris = {
        "picture_uri": store.put("picture.png", encode_png(np.full((8, 8), 100, np.uint8)), "image/png"),
        "map_uri": store.put("map.png", encode_map(anomaly_map, ScoreScale(0.015, 0.001)), "image/png"),
    }
    score = Score.decode((EXAMPLES / "score/v1/anomalous.json").read_bytes())
    kept = score.model_copy(update=uris)
    gone = score.model_copy(update={"picture_uri": None, "map_uri": None})
    path = contact_sheet([kept, gone, kept], store, tmp_path / "sheets/sheet.png")
    with Image.open(path) as sheet:
        assert sheet.size == (TILE * 2 + 30, (TILE + 34) * 2 + 10)
        shown = np.asarray(sheet.convert("L"), np.int32)[10 : 10 + TILE]
    frame, overlaid = shown[:, 10 : 10 + TILE], shown[:, TILE + 20 : 2 * TILE + 20]
    assert set(frame.ravel().tolist()) == {100}
    row, column = np.unravel_index(overlaid.argmax(), overlaid.shape)
    assert row > TILE * 3 / 4
    assert column < TILE / 4
    assert set(overlaid[: TILE // 2, TILE // 2 :].ravel().tolist()) == {100}
