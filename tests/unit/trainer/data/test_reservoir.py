"""Who can get a frame into training, and who cannot."""

from datetime import timedelta

from tests.support.stream_scores import START, a_score
from trainer.data.reservoir import NEAR_FRAMES, Reservoir

HOUR = timedelta(hours=1)


def a_reservoir(size: int = 50) -> Reservoir:
    return Reservoir(size=size, quarantine=HOUR)


def frames(reservoir: Reservoir) -> list[str]:
    return [normal.frame for normal in reservoir.normals()]


def test_a_confident_normal_is_admitted_after_its_quarantine_with_its_provenance() -> None:
    reservoir = a_reservoir()
    reservoir.offer(a_score(1))
    assert reservoir.admit(START + timedelta(minutes=59)) == 0
    assert reservoir.admit(START + timedelta(minutes=61)) == 1
    normal = reservoir.normals()[0]
    assert (normal.frame, normal.camera, normal.model_version) == ("c1/7/1", "c1", 3)
    assert normal.picture_uri == "file:///evidence/c1/1.jpg"


def test_a_frame_that_is_only_just_normal_is_not_taken() -> None:
    reservoir = a_reservoir()
    reservoir.offer(a_score(1, p_value=0.1))
    assert reservoir.waiting == 0


def test_a_frame_whose_picture_nobody_vouches_for_is_not_taken() -> None:
    reservoir = a_reservoir()
    reservoir.offer(a_score(1).model_copy(update={"picture_sha256": None}))
    reservoir.offer(a_score(2).model_copy(update={"picture_uri": None}))
    assert reservoir.waiting == 0


def test_an_anomalous_run_takes_its_neighbours_with_it_before_and_after() -> None:
    reservoir = a_reservoir()
    for sequence in range(1, 21):
        reservoir.offer(a_score(sequence, anomalous=sequence in (10, 11)))
    reservoir.admit(START + 2 * HOUR)
    kept = {int(frame.rsplit("/", 1)[1]) for frame in frames(reservoir)}
    assert kept == {1, 2, 3, 4, 17, 18, 19, 20}
    assert reservoir.dropped["near_anomalous_run"] == 2 * NEAR_FRAMES


def test_one_anomalous_frame_alone_is_no_run() -> None:
    reservoir = a_reservoir()
    for sequence in (1, 2, 3):
        reservoir.offer(a_score(sequence, anomalous=sequence == 2))
    assert reservoir.waiting == 2


def test_a_run_on_one_camera_leaves_the_others_alone() -> None:
    reservoir = a_reservoir()
    reservoir.offer(a_score(1, camera="c2"))
    for sequence in (1, 2):
        reservoir.offer(a_score(sequence, anomalous=True))
    reservoir.admit(START + 2 * HOUR)
    assert frames(reservoir) == ["c2/7/1"]


def test_a_label_takes_the_frame_out_in_quarantine_after_it_and_for_ever() -> None:
    reservoir = a_reservoir()
    reservoir.offer(a_score(1))
    reservoir.touch("c1/7/1")
    reservoir.offer(a_score(1))
    reservoir.offer(a_score(2))
    reservoir.admit(START + 2 * HOUR)
    reservoir.touch("c1/7/2")
    assert frames(reservoir) == []
    assert reservoir.dropped["labelled"] == 2


def test_the_sample_is_bounded_and_the_same_when_the_scores_are_read_again() -> None:
    def sampled() -> list[str]:
        reservoir = a_reservoir(size=10)
        for sequence in range(1, 201):
            reservoir.offer(a_score(sequence))
            reservoir.admit(START + timedelta(seconds=sequence) + HOUR)
        return frames(reservoir)

    first = sampled()
    assert len(first) == 10
    assert first == sampled()


def test_the_sample_is_spread_over_the_stream() -> None:
    reservoir = a_reservoir(size=50)
    for sequence in range(1, 401):
        reservoir.offer(a_score(sequence))
    reservoir.admit(START + 2 * HOUR)
    late = sum(int(frame.rsplit("/", 1)[1]) > 200 for frame in frames(reservoir))
    assert 10 < late < 40


def test_new_normals_are_those_that_left_quarantine_since() -> None:
    reservoir = a_reservoir()
    for sequence in (1, 100):
        reservoir.offer(a_score(sequence))
    reservoir.admit(START + 2 * HOUR)
    assert reservoir.newer_than(START + HOUR + timedelta(seconds=50)) == 1
