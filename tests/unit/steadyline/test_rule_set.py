"""Rules that are proposed: laid over those in force, refused where they stand, and known by a version."""

from datetime import timedelta
from typing import Any

import pytest

from steadyline.line import Line
from steadyline.rule_set import RuleSet, WrongRules

LINE = Line.model_validate(
    {
        "line": "line-1",
        "products": {"cell": {"alerts": {"close_frames": 7}}, "panel": {}},
        "alerts": {"quiet": ["model_promoted"], "notifications": {"most": 5}},
    }
)
RULES = RuleSet.of(LINE)


def test_rules_are_written_as_a_line_file_has_them_and_read_again() -> None:
    written = RULES.written()
    assert written["alerts"]["notifications"] == {"cooldown": "0s", "most": 5, "within": "600s"}
    assert written["products"]["cell"]["alerts"]["open_frames"]["of"] == 5
    again = RuleSet.model_validate(written)
    assert again == RULES
    assert again.version == RULES.version
    whole = {**LINE.model_dump(), "alerts": written["alerts"]}
    assert Line.model_validate(whole).alerts == LINE.alerts


def test_what_is_not_named_stays_as_it_is() -> None:
    found = RULES.proposed({"products": {"cell": {"alerts": {"cooldown": "90s"}}}})
    assert found.products["cell"].alerts.cooldown == timedelta(seconds=90)
    assert found.products["cell"].alerts.close_frames == 7
    assert found.products["panel"] == RULES.products["panel"]
    assert found.alerts == RULES.alerts
    assert found.version != RULES.version
    assert RULES.proposed({}) == RULES


def test_a_list_is_replaced_and_null_is_a_value() -> None:
    changes: dict[str, Any] = {
        "alerts": {"quiet": []},
        "products": {"cell": {"alerts": {"at_once": None}}},
    }
    found = RULES.proposed(changes)
    assert found.alerts.quiet == []
    assert found.products["cell"].alerts.at_once is None
    line = found.on(LINE)
    assert line.products["cell"].alerts.at_once is None
    assert line.products["cell"].false_alarm_rate == LINE.products["cell"].false_alarm_rate


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["alerts"], "rules: alerts: or products: is wanted"),
        ({"cameras": []}, "cameras: unknown field"),
        ({"alerts": {"quite": []}}, "alerts.quite: unknown field"),
        ({"alerts": None}, "alerts: Input should be a valid dictionary"),
        ({"alerts": {"notifications": {"within": "soon"}}}, "alerts.notifications.within: no duration"),
        ({"products": []}, "products: product names and their rules are wanted"),
        ({"products": {"jar": {}}}, "products.jar: there is no such product; there are cell, panel"),
        ({"products": {"cell": 5}}, "products.cell: alerts: is wanted"),
        ({"products": {"cell": {"detector": "daf"}}}, "products.cell.detector: unknown field"),
        (
            {"products": {"cell": {"alerts": {"open_frames": {"anomalous": 9}}}}},
            "products.cell.alerts.open_frames: 9 anomalous frames are never among 5",
        ),
    ],
)
def test_rules_that_do_not_fit_are_refused_where_they_stand(changes: object, problem: str) -> None:
    with pytest.raises(WrongRules) as refused:
        RULES.proposed(changes)
    assert str(refused.value).startswith(problem)


def test_every_problem_is_told() -> None:
    with pytest.raises(WrongRules) as refused:
        RULES.proposed({"x": 1, "alerts": {"y": 1}, "products": {"jar": {}}})
    assert [place for place, _ in refused.value.problems] == [("x",), ("alerts", "y"), ("products", "jar")]
