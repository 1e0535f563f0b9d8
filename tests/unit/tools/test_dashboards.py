"""The dashboards are what the code says, and name only what a process exports."""

import json
import re
from typing import Any

import pytest

from steadyline.telemetry.instrument import Instrument, all_instruments
from tests.packaging.rules import ROOT
from tests.support.prometheus import promtool
from tools.dashboards.documents import DASHBOARDS, documents
from tools.dashboards.panel import Dashboard
from tools.dashboards.promql import metrics_of, problems
from tools.docs.metrics import metric_groups

IDS = [one.name for one in DASHBOARDS]


@pytest.fixture(scope="module")
def known() -> dict[str, Instrument]:
    list(metric_groups())
    return {one.name: one for one in all_instruments()}


def expressions(dashboard: Dashboard) -> list[str]:
    return [query.expression for panel in dashboard.panels for query in panel.queries]


def test_the_files_are_what_the_code_says() -> None:
    made = documents()
    there = {path: (ROOT / path).read_text(encoding="utf-8") for path in made if (ROOT / path).exists()}
    assert [str(path) for path in made if there.get(path) != made[path]] == [], "`python -m tools.dashboards`"
    folder = ROOT / "deploy/dashboards"
    assert {path.relative_to(ROOT) for path in folder.glob("*.json")} <= made.keys()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=IDS)
def test_it_is_json_with_ids_of_its_own_and_panels_that_do_not_overlap(dashboard: Dashboard) -> None:
    document = json.loads(dashboard.text())
    assert document["uid"] == f"steadyline-{dashboard.name}"
    panels = document["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken = [place for panel in panels for place in cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    titles = [panel.title for panel in dashboard.panels]
    assert len(set(titles)) == len(titles)


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in columns for y in rows]


def test_every_dashboard_has_another_id() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=IDS)
def test_every_panel_says_what_it_shows_and_its_runbook_is_there(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        assert re.fullmatch(r"[A-Z0-9].*\.", panel.says), panel.title
        assert panel.runbook == "" or (ROOT / f"docs/operations/{panel.runbook}.md").exists(), panel.title
        assert panel.quiet == "" or panel.quiet.endswith("."), panel.title


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=IDS)
def test_every_query_names_only_what_a_process_exports(
    dashboard: Dashboard, known: dict[str, Instrument]
) -> None:
    assert [found for text in expressions(dashboard) for found in problems(text, known)] == []


def test_every_metric_is_on_a_dashboard(known: dict[str, Instrument]) -> None:
    shown = {name for one in DASHBOARDS for text in expressions(one) for name in metrics_of(text)}
    assert known.keys() - shown == set()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=IDS)
def test_every_query_is_promql(dashboard: Dashboard, tmp_path: Any) -> None:
    rules = [
        {"record": f"panel:query:{number}", "expr": filled(text)}
        for number, text in enumerate(expressions(dashboard))
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    status, said = promtool("check", "rules", str(file))
    assert status == 0, said
    assert f"{len(rules)} rules found" in said


def filled(expression: str) -> str:
    return re.sub(r"\$\w+", lambda found: "5m" if found[0] == "$__rate_interval" else ".*", expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(scorer_nothing_total[5m])", "no process exports scorer_nothing_total"),
        ('scorer_held_total{colour="red"}', "has no label colour"),
        ('scorer_held_total{reason="store_gone"}', "reason is never store_gone"),
        ('sum(scorer_held_total{reason=~"wrong_answer|store_gone"})', "reason is never store_gone"),
        ('strangers{line="a"}', "neither ours nor of Prometheus"),
    ],
)
def test_what_nothing_exports_is_found(expression: str, problem: str, known: dict[str, Instrument]) -> None:
    found = list(problems(expression, known))
    assert len(found) == 1
    assert problem in found[0]
