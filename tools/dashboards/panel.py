"""What a panel and a dashboard are, and the JSON that Grafana reads of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["timeseries", "stat"]
WIDTH = 24  # columns of Grafana's grid
SCHEMA = 39  # of Grafana 10 and 11; newer ones migrate it when they read it
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RUNBOOKS = "${runbooks}docs/operations/"


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the words under its series."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    ``quiet`` says why it may be empty on a healthy line; ``thresholds`` are (value, colour), ascending, above
    the colour ``base``; ``runbook`` is a page of docs/operations.
    """

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    thresholds: tuple[tuple[float, str], ...] = ()
    base: str = "green"
    runbook: str = ""
    quiet: str = ""
    width: int = 8

    @property
    def height(self) -> int:
        """Rows of Grafana's grid."""
        return 4 if self.kind == "stat" else 8


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label of a metric."""

    name: str
    metric: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels in the order in which they are read, by rows with a heading."""

    name: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[Variable, ...] = ()

    @property
    def panels(self) -> Iterator[Panel]:
        """Every panel, in order."""
        for _, panels in self.rows:
            yield from panels

    def text(self) -> str:
        """Return the JSON, the same for the same code."""
        document = {
            "uid": f"steadyline-{self.name}",
            "title": f"Steadyline: {self.title}",
            "description": self.says,
            "tags": ["steadyline"],
            "schemaVersion": SCHEMA,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "links": [_others()],
            "templating": {"list": list(_templating(self.variables))},
            "panels": list(_placed(self.rows)),
        }
        return f"{json.dumps(document, indent=1, ensure_ascii=False)}\n"


def _others() -> dict[str, Any]:
    return {"type": "dashboards", "title": "Steadyline", "tags": ["steadyline"], "includeVars": True}


def _templating(variables: Sequence[Variable]) -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus"}
    yield {
        "name": "runbooks",
        "label": "Where the runbooks are",
        "type": "textbox",
        "query": "",
        "description": "What stands before docs/operations/ in the address of a runbook.",
    }
    for one in (Variable("line", "health_live_info"), *variables):
        within = "" if one.name == "line" else '{line=~"$line"}'
        yield {
            "name": one.name,
            "label": one.name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": f"label_values({one.metric}{within}, {one.name})", "refId": one.name},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }


def _placed(rows: Sequence[tuple[str, tuple[Panel, ...]]]) -> Iterator[dict[str, Any]]:
    """Yield the panels from left to right, each row of the grid as high as its highest panel."""
    number, y = 0, 0
    for heading, panels in rows:
        number += 1
        place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": heading, "gridPos": place, "panels": []}
        x, y, highest = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, highest = 0, y + highest, 0
            number += 1
            yield _panel(number, panel, {"h": panel.height, "w": panel.width, "x": x, "y": y})
            x, highest = x + panel.width, max(highest, panel.height)
        y += highest


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    says = f"{panel.says} Empty on a healthy line: {panel.quiet}" if panel.quiet else panel.says
    steps: list[dict[str, Any]] = [{"color": panel.base, "value": None}]
    steps += [{"color": colour, "value": value} for value, colour in panel.thresholds]
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries" and panel.thresholds:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    made: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": says,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [_target(index, query) for index, query in enumerate(panel.queries)],
    }
    if panel.runbook:
        made["links"] = [{"title": f"Runbook: {panel.runbook}", "url": f"{RUNBOOKS}{panel.runbook}.md"}]
    return made


def _target(index: int, query: Query) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + index),
        "datasource": SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
    }
