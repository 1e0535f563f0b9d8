"""What is kept as evidence, and where."""

from hypothesis import given
from hypothesis import strategies as st

from scorer.evidence import evidence_key, is_kept
from tests.support.bench_top import a_record


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


def test_evidence_is_named_by_the_place_of_its_frame() -> None:
    assert evidence_key(a_record(5)) == "evidence/steadyline.frames.v1/0/5"
