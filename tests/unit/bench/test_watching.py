"""The rules that a test shortens are the rules of the plant, with less patience."""

import pytest
import yaml

from bench.watching.causes import LINE_CAUSES
from bench.watching.causes_of_models import MODEL_CAUSES
from bench.watching.prometheus import shortened
from bench.watching.queries import filled
from tests.packaging.rules import ROOT


@pytest.mark.parametrize(
    ("rule", "shorter"),
    [
        ("for: 10m", "for: 40s"),
        ("for: 30s", "for: 4s"),
        (
            "rate(x_total[5m]) > 0 unless x_total offset 10m",
            "rate(x_total[20s]) > 0 unless x_total offset 40s",
        ),
        (
            "steadyline:slo_errors:ratio_rate5m > 14.4 * 0.01",
            "steadyline:slo_errors:ratio_rate5m > 14.4 * 0.01",
        ),
    ],
)
def test_windows_and_patience_alone_are_shorter(rule: str, shorter: str) -> None:
    assert shortened(rule, 15) == shorter


def test_a_slow_rule_is_shortened_as_a_whole_until_nothing_of_it_is_longer_than_a_minute() -> None:
    rules = "  - alert: Fast\n    expr: x[5m]\n    for: 1m\n  - record: slow\n    expr: x[6h]\n    for: 1h\n"
    assert shortened(rules, 15) == rules.replace("5m", "20s").replace("for: 1m", "for: 4s").replace(
        "6h", "60s"
    ).replace("for: 1h", "for: 10s")


def test_a_query_has_no_variable_left() -> None:
    query = 'rate(x_total{line=~"$line"}[$__rate_interval])'
    assert filled(query) == 'rate(x_total{line=~".*"}[30s])'


def test_a_cause_names_alerts_that_there_are() -> None:
    files = (path.read_text(encoding="utf-8") for path in (ROOT / "deploy/rules").glob("*.yaml"))
    groups = [group for text in files for group in yaml.safe_load(text)["groups"]]
    there = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert {alert for cause in (*LINE_CAUSES, *MODEL_CAUSES) for alert in cause.alerts} <= there
