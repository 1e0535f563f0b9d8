"""When an order to the trainer counts as answered, and by what."""

from datetime import UTC, datetime, timedelta

import pytest

from steadyline.contracts.model_command import Action, ModelCommand
from steadyline.contracts.model_event import Change, ModelEvent, ModelState
from steadyline.kafka.model_orders import SentCommand, answer_to

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def sent(action: Action, version: int | None = None) -> SentCommand:
    command = ModelCommand(product="cell", action=action, version=version, who="ann", at=NOW, why="")
    return SentCommand(command, offset=4, versions_before=frozenset({1, 2}))


def a_change(version: int, after: ModelState, reason: str = "", seconds: int = 1) -> Change:
    at = NOW + timedelta(seconds=seconds)
    return Change(at=at, version=version, before="retired", after=after, reason=reason)


def an_event(*changes: Change, commands_until: int = 5) -> ModelEvent:
    return ModelEvent(
        product="cell",
        at=NOW,
        live_version=2,
        models=[],
        changes=list(changes),
        commands_until=commands_until,
    )


def test_an_order_is_open_until_an_event_says_that_it_was_read() -> None:
    assert answer_to(sent("promote", 1), None) is None
    assert answer_to(sent("promote", 1), an_event(a_change(1, "live"), commands_until=4)) is None


def test_a_calibration_is_answered_by_what_is_said_of_its_own_camera() -> None:
    command = ModelCommand(product="cell", action="calibrate", camera="c1", who="ann", at=NOW)
    order = SentCommand(command, offset=4, versions_before=frozenset({1, 2}))
    another = a_change(2, "live", "station c10: none is needed", seconds=2)
    mine = a_change(2, "live", "station c1: affine: gain 1.5, offset +3")
    assert answer_to(order, an_event(mine, another)) == mine
    assert answer_to(order, an_event(another, a_change(2, "live"))) is None
    refusal = a_change(2, "live", "refused: calibrate by ann: detection_lost: …")
    assert answer_to(order, an_event(refusal)) == refusal


@pytest.mark.parametrize("after", ["live", "rejected"])
def test_a_promotion_is_answered_by_what_became_of_its_version_and_of_no_other(after: ModelState) -> None:
    mine, another = a_change(1, after), a_change(3, "live", seconds=2)
    assert answer_to(sent("promote", 1), an_event(a_change(2, "retired"), mine, another)) == mine
    assert answer_to(sent("promote", 1), an_event(another)) is None


def test_a_rollback_is_answered_by_the_version_that_went_live() -> None:
    mine = a_change(1, "live")
    assert answer_to(sent("rollback"), an_event(a_change(2, "retired"), mine)) == mine


def test_a_refusal_is_an_answer_to_its_own_kind_of_order() -> None:
    refusal = a_change(2, "live", "refused: promote by ann: version 2 is live already")
    assert answer_to(sent("promote", 2), an_event(refusal)) == refusal
    assert answer_to(sent("retrain"), an_event(refusal)) is None


def test_what_happened_before_the_order_answers_nothing() -> None:
    assert answer_to(sent("promote", 1), an_event(a_change(1, "live", seconds=-1))) is None


def test_a_training_is_answered_when_the_version_it_made_was_decided_on() -> None:
    decided = a_change(3, "rejected", "clean_floor: 0.5")
    assert answer_to(sent("retrain"), an_event(a_change(2, "live"), a_change(3, "candidate"))) is None
    assert answer_to(sent("retrain"), an_event(a_change(3, "candidate"), decided)) == decided
