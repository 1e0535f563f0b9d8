"""What a model makes of defects at the camera's own pixels, and when that is called nothing."""

import math
import uuid
from pathlib import Path

import numpy as np
import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.line import PictureSection
from steadyline.package import Packages
from steadyline.picture import encode_png
from steadyline.prepare import prepare
from steadyline.store import Store
from tests.support.models import Contrast
from trainer.arrays import Pictures
from trainer.data.banks import BankStore
from trainer.data.normals import from_folder, read_file
from trainer.data.snapshot import NormalSource, Snapshot, make_snapshot
from trainer.jobs import native_sight as room
from trainer.jobs.export import OnnxModel
from trainer.jobs.native_sight import (
    DRAWS,
    MOST_PICTURES,
    drawn_pairs,
    held_out_natives,
    native_sight,
    sight_figures,
    sight_of,
)
from trainer.jobs.worker import WorkerConnections
from trainer.sight import LEAST_DEFECTS, Sight, blind_reason


def natives(count: int, side: int = 96) -> list[Pictures]:
    rng = np.random.default_rng(0)
    plain = np.full((count, side, side, 1), 120.0) + rng.normal(0, 2, (count, side, side, 1))
    return list(plain.clip(0, 255).astype(np.uint8))


def seen_by(model: Contrast, count: int = 40) -> dict[str, float]:
    run = OnnxModel(model.onnx())
    encoded = {str(at): encode_png(one[..., 0]) for at, one in enumerate(natives(count))}
    prepared = np.stack([prepare(one, model.grid, "gray") for one in natives(count)])
    sources = tuple(NormalSource(id=uri, uri=uri) for uri in encoded)
    snapshot = Snapshot(sources, prepared, np.ones(count, np.bool_))
    drawn = drawn_pairs(snapshot, "gray", encoded.__getitem__, seed=0)
    normal = run(prepared)[0]
    return sight_figures(native_sight(run, drawn, prepared, normal, float(normal.max())))


def test_a_model_that_sees_them_has_its_figures_on_the_card_and_no_reason_against_it() -> None:
    figures = seen_by(Contrast())
    assert figures["native_auroc"] > 0.9
    assert figures["native_found"] > 0.5
    assert figures["native_raised"] > 0.9
    assert figures["native_defects"] == 120
    sight = sight_of(figures)
    assert sight is not None
    assert blind_reason(sight) is None


def test_a_model_that_answers_the_same_to_everything_is_called_blind() -> None:
    sight = sight_of(seen_by(Contrast(gain=0)))
    assert sight is not None
    assert "50% of 120 pseudo-anomalies" in (blind_reason(sight) or "")


def test_nobody_is_called_blind_by_a_handful_of_pictures() -> None:
    figures = seen_by(Contrast(gain=0), LEAST_DEFECTS // DRAWS - 1)
    assert figures["native_auroc"] == 0.5
    assert sight_of(figures) is None


def test_a_card_of_an_earlier_release_tells_no_sight() -> None:
    assert sight_figures(None) == {}
    assert sight_of({"clean_auroc": 0.9}) is None


def test_normals_are_read_from_the_folder_or_the_store_and_those_that_are_gone_are_passed_over(
    tmp_path: Path,
) -> None:
    for number, picture in enumerate(natives(60)):
        (tmp_path / f"{number:03}.png").write_bytes(encode_png(picture[..., 0]))
    snapshot = make_snapshot(from_folder(tmp_path, PictureSection(size=32)))
    held_out = snapshot.held_out_sources()
    store = Store(f"memory://{uuid.uuid4().hex}")
    at = WorkerConnections(BankStore(store, "l"), Packages(store, "l"), MemoryBank(), ManualClock(), store)
    assert len(held_out_natives(snapshot, "gray", at.read_picture)) == len(held_out)
    (tmp_path / held_out[0].id).unlink()
    found = held_out_natives(snapshot, "gray", at.read_picture)
    assert len(found) == len(held_out) - 1
    assert {one.shape for one in found.values()} == {(96, 96, 1)}
    uri = store.put("evidence/one.png", encode_png(natives(1)[0][..., 0]), "image/png")
    assert at.read_picture(uri).startswith(b"\x89PNG")
    store.delete("evidence/one.png")
    with pytest.raises(InvalidConfiguration, match="not in the store any more"):
        at.read_picture(uri)


def test_of_very_large_frames_fewer_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, picture in enumerate(natives(60)):
        (tmp_path / f"{number:03}.png").write_bytes(encode_png(picture[..., 0]))
    snapshot = make_snapshot(from_folder(tmp_path, PictureSection(size=32)))
    monkeypatch.setattr(room, "MOST_BYTES", 96 * 96 * 5)
    assert len(held_out_natives(snapshot, "gray", read_file)) == 5
    assert MOST_PICTURES > 5


def test_only_what_gives_the_input_that_was_held_out_counts(tmp_path: Path) -> None:
    for number, picture in enumerate(natives(60)):
        (tmp_path / f"{number:03}.png").write_bytes(encode_png(picture[..., 0]))
    snapshot = make_snapshot(from_folder(tmp_path, PictureSection(size=32)))

    def read(uri: str) -> bytes:
        return encode_png(np.full((96, 96), 77, np.uint8))  # what somebody put in their places

    assert held_out_natives(snapshot, "gray", read) == {}


@pytest.mark.parametrize("shape", [(1, 1), (1, 100), (3, 3), (15, 200)])
def test_pictures_too_small_to_draw_into_are_passed_over(tmp_path: Path, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        pixels = rng.integers(0, 256, shape, np.uint8)
        (tmp_path / f"{number:03}.png").write_bytes(encode_png(pixels))
    snapshot = make_snapshot(from_folder(tmp_path, PictureSection(size=32)))
    assert held_out_natives(snapshot, "gray", read_file) == {}


def test_a_store_that_does_not_answer_costs_the_figures_and_not_the_training(tmp_path: Path) -> None:
    for number, picture in enumerate(natives(60)):
        (tmp_path / f"{number:03}.png").write_bytes(encode_png(picture[..., 0]))
    snapshot = make_snapshot(from_folder(tmp_path, PictureSection(size=32)))

    def read(uri: str) -> bytes:
        raise StoreUnavailable("no answer within 30 s")

    assert held_out_natives(snapshot, "gray", read) == {}


def test_a_model_that_answers_with_no_numbers_is_called_blind() -> None:
    sight = Sight("pseudo", math.nan, math.nan, 120, math.nan)
    assert "numbers that are none" in (blind_reason(sight) or "")
