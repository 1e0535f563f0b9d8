"""The rules that a test shortens are the rules of the plant, with less patience."""

import os
from pathlib import Path

import pytest
import yaml

from bench.watching.causes import CAUSES
from bench.watching.full_pipe import FullPipe
from bench.watching.prometheus import shortened
from bench.watching.queries import filled
from tests.packaging.rules import ROOT
from tests.support.eventually import eventually


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


def test_every_alert_has_a_cause_and_no_cause_names_another() -> None:
    files = (path.read_text(encoding="utf-8") for path in (ROOT / "deploy/rules").glob("*.yaml"))
    groups = [group for text in files for group in yaml.safe_load(text)["groups"]]
    there = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert {alert for cause in CAUSES for alert in cause.every} == there


def test_who_logs_into_a_full_pipe_waits_and_what_it_logged_before_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("before\n", encoding="utf-8")
    with FullPipe(log) as pipe, log.open("wb", buffering=0) as stream:
        stream.write(b"read\n")
        eventually(lambda: "read" in log.with_suffix(".kept").read_text(encoding="utf-8"))
        pipe.fill()
        os.set_blocking(stream.fileno(), False)
        assert stream.write(b"not read\n") is None  # it would wait
    assert log.read_text(encoding="utf-8") == "before\nread\n"
