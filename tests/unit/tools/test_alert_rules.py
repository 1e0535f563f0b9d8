"""The rules of Prometheus: each alert has a page, a test and metrics that are exported; promtool agrees."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from steadyline.telemetry.instrument import Instrument, all_instruments
from tests.packaging.rules import ROOT
from tests.support.prometheus import promtool
from tools.dashboards.promql import problems
from tools.docs.metrics import metric_groups

FOLDER = ROOT / "deploy" / "rules"
FILES = sorted(FOLDER.glob("*.yaml"))
IDS = [path.stem for path in FILES]
SEVERITIES = {"critical", "warning", "info"}


def rules_of(path: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for path in FILES for rule in rules_of(path) if "alert" in rule]


@pytest.fixture(scope="module")
def known() -> dict[str, Instrument]:
    list(metric_groups())
    return {one.name: one for one in all_instruments()}


def test_there_are_rules_and_each_name_is_given_once() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert len(names) > 40
    assert len(set(names)) == len(names)
    groups = [group["name"] for path in FILES for group in yaml.safe_load(path.read_text())["groups"]]
    assert len(set(groups)) == len(groups)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_serious_it_is_what_it_means_and_where_its_page_is(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Steadyline[A-Z][A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in SEVERITIES
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert said["summary"].endswith(".")
    assert said["description"].rstrip().endswith(".")
    assert re.fullmatch(r"docs/operations/[a-z_]+\.md", said["runbook_url"])
    assert (ROOT / said["runbook_url"]).exists()


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_rule_names_only_what_a_process_exports(path: Path, known: dict[str, Instrument]) -> None:
    assert [found for rule in rules_of(path) for found in problems(rule["expr"], known)] == []


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_alert_of_a_file_fires_in_its_unit_tests(path: Path) -> None:
    tests = (FOLDER / "tests" / path.name).read_text(encoding="utf-8")
    fired = set(re.findall(r'ALERTS\{alertname="(\w+)",alertstate="firing"', tests))
    assert fired == {rule["alert"] for rule in rules_of(path) if "alert" in rule}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_promtool_finds_the_rules_right_and_their_unit_tests_pass(path: Path) -> None:
    status, said = promtool("check", "rules", str(path))
    assert status == 0, said
    status, said = promtool("test", "rules", str(FOLDER / "tests" / path.name))
    assert status == 0, said
