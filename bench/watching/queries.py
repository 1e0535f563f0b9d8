"""Runs every query of every dashboard against a Prometheus and counts the rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bench.watching.prometheus import Prometheus
from tools.dashboards.documents import DASHBOARDS
from tools.dashboards.panel import Panel

WINDOW = "30s"  # in place of Grafana's own, for a scrape each second


@dataclass(frozen=True, slots=True)
class PanelRows:
    """How many rows each query of a panel gave."""

    dashboard: str
    panel: Panel
    rows: tuple[int, ...]

    @property
    def is_right(self) -> bool:
        """False where a query gave nothing although it should."""
        return bool(self.panel.quiet) or all(self.rows)


def run_queries(prometheus: Prometheus) -> Iterator[PanelRows]:
    """Yield the rows of each panel; raises ValueError where one is no PromQL."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            counts = (len(prometheus.query(filled(query.expression))) for query in panel.queries)
            yield PanelRows(dashboard.name, panel, tuple(counts))


def filled(expression: str) -> str:
    """Return an expression with Grafana's variables filled in: every line, every camera."""
    return re.sub(r"\$\w+", lambda found: WINDOW if found[0] == "$__rate_interval" else ".*", expression)
