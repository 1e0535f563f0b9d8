"""The files that are made: a dashboard each, and the rules of the SLOs."""

from pathlib import Path

from tools.dashboards.alerts import ALERTS_DASHBOARD
from tools.dashboards.kafka import KAFKA_DASHBOARD
from tools.dashboards.line import LINE_DASHBOARD
from tools.dashboards.scorer import SCORER_DASHBOARD
from tools.dashboards.slo import rules
from tools.dashboards.trainer import TRAINER_DASHBOARD

DASHBOARDS = (LINE_DASHBOARD, SCORER_DASHBOARD, TRAINER_DASHBOARD, ALERTS_DASHBOARD, KAFKA_DASHBOARD)


def documents() -> dict[Path, str]:
    """Return path from the root → text."""
    made = {Path(f"deploy/dashboards/{one.name}.json"): one.text() for one in DASHBOARDS}
    return {**made, Path("deploy/rules/slo.yaml"): rules()}
