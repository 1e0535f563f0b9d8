"""The model slots: following the events, probing before use, the canary."""

import base64

import pytest

from steadyline.contracts.model_event import EncodedProbe
from steadyline.inference import ModelRef
from steadyline.parity import seen
from steadyline.picture import encode_jpeg
from tests.support.inference import constant
from tests.support.kept_models import KeptModels
from tests.support.models import Contrast, a_defective_picture, model_event


@pytest.fixture
def kept() -> KeptModels:
    return KeptModels()


def test_a_product_without_a_model_is_not_ready_and_says_so(kept: KeptModels) -> None:
    kept.pass_time(1)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "no_live_model"}


def test_a_live_version_is_used_once_it_gives_its_known_answers(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    assert kept.version == 1
    assert kept.waiting_for == {}
    assert kept.inference.asked == [(ModelRef("part", 1), 2)]


def test_only_the_newest_of_several_events_counts(kept: KeptModels) -> None:
    first, second = kept.serve(1), kept.serve(2)
    events = [model_event("part", [first], 1), model_event("part", [first, second], 2)]
    for event in events:
        kept.note(event.encode())
    kept.updater.turn()
    assert kept.version == 2
    assert kept.inference.asked == [(ModelRef("part", 2), 2)]


def test_a_version_with_wrong_answers_changes_nothing_and_is_tried_again(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    wrong = Contrast(gain=3).event_model(2)
    kept.inference.serve("part", 2, constant(0.0))
    kept.hear([wrong], live=2)
    assert kept.version == 1
    assert kept.waiting_for == {}
    kept.inference.serve("part", 2, Contrast(gain=3).answer)
    kept.pass_time(5)
    assert kept.version == 2


def test_a_version_whose_frames_are_read_otherwise_than_at_the_training_is_not_used(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    model, frame = kept.serve(2), encode_jpeg(a_defective_picture(32))
    known = Contrast().answer(seen(frame, model)[None]).scores[0]
    probe = EncodedProbe(
        encoding="jpeg",
        frame=base64.b64encode(frame).decode(),
        score=float(known) + 0.01,
        tolerance=1e-3,
        x=0.1,
        y=0.1,
    )
    kept.hear([model.model_copy(update={"encoded_probes": [probe]})], live=2)
    assert kept.version == 1
    right = probe.model_copy(update={"score": float(known)})
    kept.hear([model.model_copy(update={"encoded_probes": [right]})], live=2)
    assert kept.version == 2


def test_a_version_that_cannot_be_asked_yet_is_tried_again_further_and_further_apart(
    kept: KeptModels,
) -> None:
    kept.hear([Contrast().event_model(1)], live=1)
    for _ in range(200):
        kept.pass_time(0.1)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "inference_unavailable"}
    assert 5 <= len(kept.inference.asked) <= 20
    kept.serve(1)
    kept.pass_time(4)
    assert kept.version == 1


def test_new_thresholds_of_the_same_version_are_taken_over(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.hear([Contrast().event_model(1, threshold=0.3, threshold_version=2)], live=1)
    assert kept.slot.known is not None
    assert kept.slot.known.threshold_version == 2


def test_an_event_that_changes_nothing_probes_nothing(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.hear([Contrast().event_model(1)], live=1)
    assert len(kept.inference.asked) == 1


def test_a_product_whose_model_is_withdrawn_holds(kept: KeptModels) -> None:
    model = kept.serve(1)
    kept.hear([model], live=1)
    kept.hear([model], live=None)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "no_live_model"}


@pytest.mark.parametrize("value", [b"", b"{", b'{"product": "part"}', b"\xff\xfe"])
def test_an_event_that_does_not_fit_the_contract_is_ignored(kept: KeptModels, value: bytes) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.hear_bytes(value)
    assert kept.version == 1


def test_an_event_of_another_product_is_ignored(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1, product="other")
    assert kept.version is None


def test_the_canary_is_asked_every_so_often(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    for _ in range(20):
        kept.pass_time(1)
    assert len(kept.inference.asked) == 1 + 4


def test_a_server_that_stops_answering_makes_the_scorer_not_ready_until_it_is_back(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.inference.is_away = True
    kept.pass_time(5)
    assert kept.waiting_for == {"model:part": "inference_unavailable"}
    assert kept.version == 1  # frames are held by their own failures, and go on the moment it answers
    kept.inference.is_away = False
    kept.pass_time(5)
    assert kept.waiting_for == {}


def test_wrong_answers_of_the_model_in_use_hold_frames_until_they_are_right_again(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.inference.serve("part", 1, constant(0.0))
    kept.pass_time(5)
    assert kept.version is None
    assert kept.slot.held_reason == "wrong_answer"
    assert kept.waiting_for == {"model:part": "wrong_answer"}
    kept.serve(1)
    kept.pass_time(5)
    assert kept.version == 1
    assert kept.waiting_for == {}


def test_the_model_in_use_is_watched_while_its_successor_is_refused(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.inference.serve("part", 2, constant(0.0))
    kept.hear([Contrast(gain=3).event_model(2)], live=2)
    kept.inference.retire("part", 1)
    kept.pass_time(5)
    assert kept.waiting_for == {"model:part": "inference_unavailable"}


@pytest.mark.parametrize(
    "change",
    [
        {"probes": []},
        {"probes": [Contrast().event_model(1).probes[0].model_copy(update={"picture_png": "!"})]},
        {"probes": [Contrast(size=64).event_model(1).probes[0]]},
        {"probes": [Contrast().event_model(1).probes[0].model_copy(update={"score": 9.0})]},
    ],
)
def test_an_unusable_model_is_never_used(kept: KeptModels, change: dict[str, object]) -> None:
    kept.hear([kept.serve(1).model_copy(update=change)], live=1)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "wrong_answer"}
