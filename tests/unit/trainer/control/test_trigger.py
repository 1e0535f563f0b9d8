"""When a product is trained again."""

from datetime import UTC, datetime, timedelta

from steadyline.line import RetrainSection
from trainer.control.trigger import RetrainFacts, why_train

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RULES = RetrainSection(every=timedelta(hours=24), after_normals=50)


def known(
    attempted_hours_ago: float | None = 1, new_normals: int = 0, asked: str | None = None
) -> RetrainFacts:
    attempted = None if attempted_hours_ago is None else NOW - timedelta(hours=attempted_hours_ago)
    return RetrainFacts(attempted is not None, attempted, new_normals, asked)


def test_a_product_that_was_never_trained_is_trained_at_once() -> None:
    assert why_train(known(None), RetrainSection(), NOW) == "first training"


def test_nothing_happens_without_a_reason() -> None:
    assert why_train(known(1000), RetrainSection(), NOW) is None
    assert why_train(known(23), RULES, NOW) is None


def test_the_schedule_counts_from_the_last_attempt() -> None:
    assert why_train(known(24), RULES, NOW) == "schedule"


def test_enough_new_normals_start_a_training() -> None:
    assert why_train(known(1, new_normals=50), RULES, NOW) == "50 new normals"
    assert why_train(known(1, new_normals=49), RULES, NOW) is None


def test_enough_new_labels_start_a_training_and_fewer_or_none_asked_for_do_not() -> None:
    rules = RetrainSection(after_labels=20)
    assert why_train(RetrainFacts(True, NOW, 0, new_labels=20), rules, NOW) == "20 new labels"
    assert why_train(RetrainFacts(True, NOW, 0, new_labels=19), rules, NOW) is None
    assert why_train(RetrainFacts(True, NOW, 0, new_labels=20), RetrainSection(), NOW) is None


def test_an_order_is_followed_whatever_the_rules_say() -> None:
    assert (
        why_train(known(0, asked="demo: more normals"), RetrainSection(), NOW) == "asked: demo: more normals"
    )


def test_a_first_training_that_failed_is_not_repeated_by_itself() -> None:
    assert why_train(RetrainFacts(False, NOW, 0), RetrainSection(), NOW) is None
