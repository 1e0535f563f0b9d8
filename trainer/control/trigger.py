"""When to train a product again: pure, given what is known and the time."""

from dataclasses import dataclass
from datetime import datetime

from steadyline.line import RetrainSection


@dataclass(frozen=True, slots=True)
class RetrainFacts:
    """What the decision rests on; ``attempted_at`` is when the last training ended, also a refused one."""

    ever_trained: bool
    attempted_at: datetime | None
    new_normals: int
    asked: str | None = None  # why somebody ordered a training


def why_train(known: RetrainFacts, rules: RetrainSection, now: datetime) -> str | None:
    """Return why a training should start now, None when it should not.

    A first training needs no rule. A refused or failed one is not tried again by itself before the schedule,
    new normals or a person ask for it: the same data and seed would be refused again.
    """
    if known.asked is not None:
        return f"asked: {known.asked}"
    if not known.ever_trained and known.attempted_at is None:
        return "first training"
    if rules.after_normals is not None and known.new_normals >= rules.after_normals:
        return f"{known.new_normals} new normals"
    if rules.every is not None and known.attempted_at is not None and now - known.attempted_at >= rules.every:
        return "schedule"
    return None
