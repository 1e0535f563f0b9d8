"""Models that are not there yet, not what they are said to be, or not what was packed."""

from pathlib import Path

import pytest

from steadyline.package import MODEL, Packages
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.models import Contrast, model_event
from tests.support.packed_models import newest, order, packed
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers


def test_without_a_model_frames_wait_and_the_scorer_says_what_for(floor: ScorerLine) -> None:
    scorer = floor.start("a")
    eventually(lambda: scorer.readiness() == {f"model:{floor.product}": "no_live_model"}, 30)
    floor.send(20)
    eventually(lambda: scorer.metric("scorer_in_hand_frames") == 20, 20)
    assert floor.read() == 0
    floor.put_in_service()
    floor.until_accounted().assert_intact()
    scorer.until_ready()
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_batches_over_what_the_model_takes_are_halved_and_none_is_held(floor: ScorerLine) -> None:
    floor.put_in_service()
    floor.send(400)
    scorer = floor.start("a", SCORER_MAX_BATCH="128")  # Triton's model takes 32
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert scorer.said("batch_halved")
    assert "batch-size must be <= 32" in scorer.text()
    floor.send(400)
    floor.until_accounted().assert_intact()
    assert scorer.readiness() == {}
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_version_that_is_not_served_or_answers_otherwise_is_refused_and_the_old_one_goes_on(
    floor: ScorerLine,
) -> None:
    floor.put_in_service(1)
    scorer = floor.start("a")
    scorer.until_ready()
    floor.announce(2, Contrast(gain=2))  # Triton has no such version
    eventually(lambda: scorer.metric("scorer_swaps_total", outcome="inference_unavailable") > 0, 20)
    floor.send(40)
    floor.until_accounted().assert_intact()
    floor.serve(3, Contrast(gain=5))  # other bytes than those whose answers the event carries
    floor.announce(3, Contrast(gain=3))
    eventually(lambda: scorer.metric("scorer_swaps_total", outcome="wrong_answer") > 0, 20)
    floor.send(40)
    floor.until_accounted().assert_intact()
    assert scorer.readiness() == {}
    assert scorer.metric("scorer_model_version") == 1
    floor.assert_scores_true({1: 1.0})

    floor.put_in_service(4)
    eventually(lambda: scorer.metric("scorer_model_version") == 4, 20)
    floor.send(40)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0, 4: 4.0})
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_package_that_does_not_match_its_digest_is_refused_and_the_old_version_goes_on(
    floor: ScorerLine, tmp_path: Path
) -> None:
    models = [packed(floor, 1, "live"), packed(floor, 2, "retired"), packed(floor, 3, "retired")]
    floor.say(model_event(floor.product, models, 1))
    key = f"{Packages(floor.store, floor.line.line).key(floor.product, 2)}/{MODEL}"
    floor.store.put(key, Contrast(gain=9).onnx())  # a good model, and not the one that was proven
    trainer = floor.start_service(
        "trainer", environment={"TRAINER_WORK": str(tmp_path / "work"), "TRAINER_NICE": "0"}
    )
    scorer = floor.start("a")
    scorer.until_ready(60)  # the trainer has served the live version from its package

    floor.send(40)
    order(floor, 2)

    def refused() -> bool:
        floor.send(4)
        return any("does not match its digest" in change.reason for change in newest(floor).changes)

    eventually(refused, 30, "the refusal in an event")
    assert newest(floor).live_version == 1
    assert 2 not in [entry.version for entry in floor.triton.index() if entry.name == floor.product]
    floor.until_accounted().assert_intact()
    assert {score.model_version for score in floor.scores()} == {1}

    order(floor, 3)
    eventually(lambda: scorer.metric("scorer_model_version") == 3, 30)
    floor.send(40)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0, 3: 3.0})
    assert scorer.readiness() == {}
    assert [scorer.stop(), trainer.stop()] == [EXIT_OK, EXIT_OK]
    floor.assert_audit_intact()
