"""What is kept as evidence, and that a map can be read back from its PNG."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from scorer.evidence import MAP_MAX, MAP_MIN, draw_map, evidence_key, is_kept
from tests.unit.scorer.bench_top import a_record

maps = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-99, 99, width=32)
)


@given(st.text(), st.floats(0, 1))
def test_an_anomalous_frame_is_always_kept(frame: str, sample: float) -> None:
    assert is_kept("anomalous", frame, sample)


@given(st.text())
def test_a_sample_of_nothing_keeps_none_and_of_all_keeps_every_normal_frame(frame: str) -> None:
    assert not is_kept("normal", frame, 0.0)
    assert is_kept("normal", frame, 1.0)


def test_about_the_wanted_fraction_of_normal_frames_is_kept() -> None:
    kept = sum(is_kept("normal", f"c1/1/{number}", 0.02) for number in range(20_000))
    assert 300 <= kept <= 500


@given(maps)
def test_a_map_is_read_back_to_a_255th_of_its_range(anomaly_map: np.ndarray) -> None:
    drawn = Image.open(io.BytesIO(draw_map(anomaly_map)))
    low, high = float(drawn.info[MAP_MIN]), float(drawn.info[MAP_MAX])
    found = low + np.asarray(drawn, dtype=np.float64) / 255 * (high - low)
    assert np.abs(found - anomaly_map).max() <= (high - low) / 510 * 1.01 + 1e-4


def test_evidence_is_named_by_the_place_of_its_frame() -> None:
    assert evidence_key(a_record(5)) == "evidence/steadyline.frames.v1/0/5"
