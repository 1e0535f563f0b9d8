"""Who can get a frame into training, and who cannot."""

import hashlib
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.contracts.score import Score
from steadyline.errors import MalformedHeaders
from tests.support.stream_scores import KEY, START, a_score, read, stream_rules
from trainer.data.reservoir import MOST_CAMERAS, NEAR_FRAMES, Reservoir

HOUR, DAY = 3600.0, 86400.0


def frames(reservoir: Reservoir) -> list[str]:
    return [normal.frame for normal in reservoir.normals()]


def sequences(reservoir: Reservoir) -> set[int]:
    return {int(frame.rsplit("/", 1)[1]) for frame in frames(reservoir)}


def a_full_hour_later(reservoir: Reservoir, *cameras: str, at: float = 2 * HOUR) -> None:
    """Let each camera go on, with a frame that is only just normal, when all quarantines are over."""
    read(reservoir, [a_score(10**6, camera, p_value=0.01) for camera in cameras or ("c1",)], at)


def test_a_confident_normal_is_admitted_after_its_quarantine_with_its_provenance() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, [a_score(1)], 0)
    read(reservoir, [a_score(2, p_value=0.01)], HOUR - 1)
    assert (reservoir.waiting, frames(reservoir)) == (1, [])
    read(reservoir, [a_score(3, p_value=0.01)], HOUR)
    normal = reservoir.normals()[0]
    assert (normal.frame, normal.camera, normal.model_version) == ("c1/7/1", "c1", 3)
    assert normal.picture_uri == "memory://s/evidence/line-1/t.frames.v1/id/0/1/picture.jpg"
    assert (normal.at, normal.admitted_at) == (START, START + timedelta(hours=1))


@pytest.mark.parametrize("year", [1970, 2025, 2026, 2099])
def test_no_clock_of_a_camera_or_a_scorer_shortens_or_lengthens_the_quarantine(year: int) -> None:
    reservoir = Reservoir(stream_rules())
    wrong = {"captured_at": START.replace(year=year), "scored_at": START.replace(year=year)}
    read(reservoir, [a_score(1).model_copy(update=wrong)], 0)
    read(reservoir, [a_score(2, p_value=0.01).model_copy(update=wrong)], HOUR - 1)
    assert frames(reservoir) == []
    read(reservoir, [a_score(3, p_value=0.01).model_copy(update=wrong)], HOUR)
    assert frames(reservoir) == ["c1/7/1"]


def test_a_frame_that_is_only_just_normal_is_not_taken() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, [a_score(1, p_value=0.1)], 0)
    assert reservoir.waiting == 0


def test_a_frame_whose_picture_nobody_vouches_for_is_not_taken() -> None:
    reservoir = Reservoir(stream_rules())
    unvouched = [
        a_score(1).model_copy(update={"picture_sha256": None}),
        a_score(2).model_copy(update={"picture_uri": None}),
    ]
    read(reservoir, unvouched, 0)
    assert reservoir.waiting == 0


def test_a_score_that_names_no_frame_is_poison() -> None:
    for frame in ("c1", "c1/7", "c1/7/0", "c1/7/-1", "../../x", f"c1/7/{1 << 63}", "c1/7/٣"):
        with pytest.raises(MalformedHeaders):
            read(Reservoir(stream_rules()), [a_score(1).model_copy(update={"frame": frame})], 0)


def test_an_anomalous_run_takes_its_neighbours_with_it_before_and_after() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, (a_score(sequence, anomalous=sequence in (10, 11)) for sequence in range(1, 21)), 0)
    a_full_hour_later(reservoir)
    assert sequences(reservoir) == {1, 2, 3, 4, 17, 18, 19, 20}
    assert reservoir.dropped["near_anomalous_run"] == 2 * NEAR_FRAMES


def test_a_run_takes_out_what_was_admitted_already() -> None:
    reservoir = Reservoir(stream_rules(quarantine=timedelta(seconds=1)))
    read(reservoir, [a_score(sequence) for sequence in range(1, 11)], 0)
    assert sequences(reservoir) == set(range(1, 10))
    read(reservoir, [a_score(sequence, anomalous=True) for sequence in (11, 12)], 10)
    assert sequences(reservoir) == set(range(1, 6))


def test_a_frame_that_a_run_took_out_is_not_taken_when_it_is_scored_again() -> None:
    reservoir = Reservoir(stream_rules(quarantine=timedelta(0)))
    read(reservoir, (a_score(sequence, anomalous=sequence in (10, 11)) for sequence in range(1, 21)), 0)
    before = frames(reservoir)
    read(reservoir, [a_score(9), a_score(12)], 30)
    assert frames(reservoir) == before


def test_frames_of_other_epochs_do_not_make_a_run_forgotten() -> None:
    reservoir = Reservoir(stream_rules(quarantine=timedelta(0)))
    stream = [a_score(10, anomalous=True), a_score(1, epoch=9), a_score(11, anomalous=True)]
    read(reservoir, [*stream, a_score(2, epoch=9), a_score(12), a_score(3, epoch=9)], 0)
    assert frames(reservoir) == ["c1/9/1", "c1/9/2", "c1/9/3"]


@given(st.lists(st.integers(1, (1 << 63) - 1), min_size=2, max_size=6))
def test_no_number_from_the_wire_sizes_a_loop_or_keeps_honest_frames_out(forged: list[int]) -> None:
    reservoir = Reservoir(stream_rules(quarantine=timedelta(0)))
    read(reservoir, [a_score(sequence, anomalous=True) for sequence in forged], 0)
    honest = next(s for s in range(1, 10**6, 100) if all(abs(s - f) > NEAR_FRAMES for f in forged))
    read(reservoir, [a_score(honest)], 10)
    assert sequences(reservoir) == {honest}


def test_one_anomalous_frame_alone_is_no_run() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, [a_score(sequence, anomalous=sequence == 2) for sequence in (1, 2, 3)], 0)
    assert reservoir.waiting == 2


def test_a_run_on_one_camera_leaves_the_others_alone() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, [a_score(1, camera="c2"), a_score(1, anomalous=True), a_score(2, anomalous=True)], 0)
    a_full_hour_later(reservoir, "c1", "c2")
    assert frames(reservoir) == ["c2/7/1"]


@pytest.mark.parametrize("fetches", [[400], [1] * 400, [7] * 58, [399, 1], [150, 250]])
def test_the_sample_is_the_same_wherever_the_fetches_end(fetches: list[int]) -> None:
    """A restarted trainer reads the history in other pieces, and a training looks in between."""
    chance = random.Random(3)
    stream = [
        a_score(1 + index // 2, f"c{index % 2}", anomalous=chance.random() < 0.3) for index in range(400)
    ]
    whole = Reservoir(stream_rules(70, timedelta(seconds=40)))
    read(whole, stream, 0)
    pieces, at, rest = Reservoir(stream_rules(70, timedelta(seconds=40))), 0.0, stream
    for count in fetches:
        at, rest = read(pieces, rest[:count], at), rest[count:]
        pieces.normals()
    assert not rest
    assert frames(whole) == frames(pieces) != []


def test_the_order_in_which_cameras_are_read_does_not_matter() -> None:
    one, other = Reservoir(stream_rules(70)), Reservoir(stream_rules(70))
    times = {name: [(a_score(s, name), s * 60.0) for s in range(1, 200)] for name in ("c1", "c2")}
    for reservoir, names in ((one, ("c1", "c2")), (other, ("c2", "c1"))):
        for name in names:
            for score, at in times[name]:
                read(reservoir, [score], at)
    assert frames(one) == frames(other) != []


def ground(chosen: int) -> list[Score]:
    """Return the frames of a writer who tried ids until their SHA-256 was low."""
    tried = ((hashlib.sha256(f"c1/7/{s}".encode()).digest(), s) for s in range(10_000, 60_000))
    return [a_score(sequence) for _, sequence in sorted(tried)[:chosen]]


def test_ids_that_were_ground_displace_no_more_than_their_share() -> None:
    reservoir = Reservoir(stream_rules(350))
    honest = [a_score(sequence) for sequence in range(1, 51)]
    read(reservoir, [*honest, *ground(50)], 0)
    a_full_hour_later(reservoir)
    kept = sequences(reservoir)
    assert len(kept) == 50
    assert 12 < len(kept & set(range(1, 51))) < 38  # half of them, and not none of them


def test_another_key_gives_another_sample() -> None:
    samples = []
    for key in (KEY, b"x" * 32):
        reservoir = Reservoir(stream_rules(70, key=key))
        read(reservoir, [a_score(sequence) for sequence in range(1, 201)], 0)
        a_full_hour_later(reservoir)
        samples.append(set(frames(reservoir)))
    assert len(samples[0] & samples[1]) < 5


def test_a_camera_that_sends_a_thousand_times_as_much_gets_its_share_and_no_more() -> None:
    reservoir = Reservoir(stream_rules(40))
    for day in range(10):
        quiet = [a_score(100 * day + n, "c2") for n in range(1, 5)]
        flood = [a_score(4000 * day + n, "c1") for n in range(1, 4001)]
        read(reservoir, quiet, day * DAY)
        read(reservoir, flood, day * DAY, apart=0.1)
    a_full_hour_later(reservoir, "c1", "c2", at=11 * DAY)
    assert Counter(frame.split("/")[0] for frame in frames(reservoir)) == {"c1": 20, "c2": 20}


def test_one_day_of_one_camera_never_is_more_than_a_seventh_of_the_sample() -> None:
    reservoir = Reservoir(stream_rules(70))
    read(reservoir, [a_score(sequence) for sequence in range(1, 2001)], 0)
    a_full_hour_later(reservoir)
    assert len(frames(reservoir)) == 10


def test_old_frames_leave_and_those_of_a_camera_that_has_stopped_too() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, [a_score(1, "c1"), a_score(1, "c2")], 0)
    a_full_hour_later(reservoir, "c1", "c2")
    read(reservoir, [a_score(2, "c1")], 14 * DAY)
    assert frames(reservoir) == ["c1/7/1", "c2/7/1"]
    read(reservoir, [a_score(3, "c1")], 15 * DAY)
    assert frames(reservoir) == ["c1/7/2"]
    assert reservoir.dropped["too_old"] == 2


def test_a_camera_that_the_line_does_not_list_gives_nothing() -> None:
    reservoir = Reservoir(stream_rules(quarantine=timedelta(0), cameras=frozenset({"c1"})))
    read(
        reservoir, [a_score(1, "c1"), a_score(1, "evil"), a_score(2).model_copy(update={"camera": "evil"})], 0
    )
    assert frames(reservoir) == ["c1/7/1"]
    assert reservoir.dropped["unknown_camera"] == 2


def test_cameras_epochs_and_days_from_the_wire_fill_no_memory() -> None:
    def stream() -> Iterable[tuple[Score, float]]:
        for n in range(1, 30_001):
            yield a_score(n, f"c{n % 5000}", epoch=n, anomalous=n % 3 == 0), n * 60.0

    reservoir = Reservoir(stream_rules(350))
    tracemalloc.start()
    for score, at in stream():
        read(reservoir, [score], at)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 2 << 20
    assert len({frame.split("/")[0] for frame in frames(reservoir)}) <= MOST_CAMERAS


def test_new_normals_are_those_that_were_admitted_since() -> None:
    reservoir = Reservoir(stream_rules())
    read(reservoir, [a_score(1)], 0)
    read(reservoir, [a_score(100)], 100)
    a_full_hour_later(reservoir, at=HOUR + 10)
    assert reservoir.newer_than(START + timedelta(seconds=HOUR)) == 1
    a_full_hour_later(reservoir, at=HOUR + 200)
    assert reservoir.newer_than(START + timedelta(seconds=HOUR)) == 2
    assert reservoir.newer_than(START + timedelta(seconds=HOUR + 50)) == 1
