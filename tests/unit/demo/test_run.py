"""The demonstration waits for a first model, and not for one that was refused."""

from datetime import UTC, datetime

import pytest

from steadyline.contracts.model_event import Change, ModelEvent
from steadyline.demo.observe import Observed
from steadyline.demo.run import DemoFailed, first_is_live

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(live: int | None, after: str) -> ModelEvent:
    change = Change(at=NOON, version=1, before="candidate", after=after, reason="clean_floor: 0.5")
    return ModelEvent(product="cell", at=NOON, live_version=live, models=[], changes=[change])


def test_it_waits_until_a_version_is_live() -> None:
    assert not first_is_live(Observed())
    assert first_is_live(Observed(model=an_event(1, "live")))


def test_a_refused_first_model_ends_it_and_says_why() -> None:
    with pytest.raises(DemoFailed, match=r"refused: clean_floor: .* train longer"):
        first_is_live(Observed(model=an_event(None, "rejected")))
