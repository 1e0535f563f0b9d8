"""What has become of an order, by what the newest event says."""

from datetime import UTC, datetime, timedelta

from alerts.control.order_state import order_view
from alerts.database.order_store import ModelOrder
from alerts.database.seen_models import SeenModels
from steadyline.contracts.model_command import Action, ModelCommand
from steadyline.contracts.model_event import Change, ModelState

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def an_order(action: Action = "promote", version: int | None = 2, place: int | None = 4) -> ModelOrder:
    command = ModelCommand(product="cell", action=action, version=version, who="ines", at=NOW)
    return ModelOrder(id="0" * 32, at=NOW, command=command, versions_before=[1, 2], place=place)


def a_change(version: int, after: ModelState, reason: str = "", seconds: int = 1) -> Change:
    at = NOW + timedelta(seconds=seconds)
    return Change(at=at, version=version, before="candidate", after=after, reason=reason)


def some_models(*changes: Change, until: int = 5) -> SeenModels:
    return SeenModels(
        product="cell",
        at=NOW,
        live_version=1,
        training_version=None,
        models=[],
        changes=list(changes),
        best={},
        commands_until=until,
    )


def test_an_order_is_unconfirmed_then_waiting_then_taken() -> None:
    assert order_view(an_order(place=None), some_models()).state == "unconfirmed"
    assert order_view(an_order(), None).state == "waiting"
    assert order_view(an_order(), some_models(until=4)).state == "waiting"
    assert order_view(an_order(), some_models()).state == "taken"


def test_an_order_is_done_by_its_change_and_refused_by_another() -> None:
    done = order_view(an_order(), some_models(a_change(2, "live")))
    assert (done.state, done.answer and done.answer.version) == ("done", 2)
    refusal = a_change(1, "live", "refused: promote by ines: version 2 is not known")
    assert order_view(an_order(), some_models(refusal)).state == "refused"
    rejected = a_change(3, "rejected", "gate: clean_auroc")
    assert order_view(an_order("retrain", None), some_models(rejected)).state == "refused"


def test_an_order_whose_change_is_not_kept_any_more_is_forgotten() -> None:
    later = [a_change(1, "candidate", seconds=n) for n in range(1, 201)]
    assert order_view(an_order(), some_models(*later)).state == "forgotten"
    assert order_view(an_order(), some_models(*later[:100])).state == "taken"
