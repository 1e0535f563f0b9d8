"""Decide whether to train a product again, from facts and the time alone. Pure."""

from dataclasses import dataclass
from datetime import datetime

from steadyline.line import RetrainSection


@dataclass(frozen=True, slots=True)
class RetrainFacts:
    """What the decision depends on; ``attempted_at`` is when the last training ended, accepted or refused."""

    ever_trained: bool
    attempted_at: datetime | None
    new_normals: int
    asked: str | None = None  # the reason given by a command to train
    new_labels: int = 0


def why_train(known: RetrainFacts, rules: RetrainSection, now: datetime) -> str | None:
    """Return why a training should start now, or None when it should not.

    A first training needs no rule. A refused or failed training is not repeated before the schedule, new
    normals, new labels or a command ask for it, because the same data and seed would be refused again.
    """
    if known.asked is not None:
        return f"asked: {known.asked}"
    if not known.ever_trained and known.attempted_at is None:
        return "first training"
    if rules.after_normals is not None and known.new_normals >= rules.after_normals:
        return f"{known.new_normals} new normals"
    if rules.after_labels is not None and known.new_labels >= rules.after_labels:
        return f"{known.new_labels} new labels"
    if rules.every is not None and known.attempted_at is not None and now - known.attempted_at >= rules.every:
        return "schedule"
    return None
