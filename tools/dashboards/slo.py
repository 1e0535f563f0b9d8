"""The SLOs: what is measured, how much of it may be bad, and the rules that say when too much of it is.

Each is a share of bad events. Its alerts compare two windows, as one alone is either slow or nervous: the
long one says that it matters, the short one that it still goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
ERRORS = "steadyline:slo_errors:ratio_rate"
# (short window, long window, burn rate): 14.4 spends 2 % of a budget of 30 days in an hour, 6 spends 5 % in
# six hours, 3 spends 10 % in a day, and 1 spends 10 % in three days.
FAST = (("5m", "1h", 14.4), ("30m", "6h", 6.0))
SLOW = (("2h", "1d", 3.0), ("6h", "3d", 1.0))
# Of false alarms the budget is a rate that is promised, not a rest that is left: real defects spend it too.
FAST_ALARMS = (("1h", "6h", 6.0),)
SLOW_ALARMS = (("6h", "3d", 2.0),)

_LATE = (
    '1 - sum by (line) (rate({metric}_bucket{{le=~"{bound}"}}[{window}]))'
    " / sum by (line) (rate({metric}_count[{window}]))"
)


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective; ``errors`` is PromQL with ``{window}``, ``budget`` PromQL or a number."""

    name: str
    alert: str
    errors: str
    budget: str
    by: str
    what: str
    runbook: str
    fast: tuple[tuple[str, str, float], ...] = FAST
    slow: tuple[tuple[str, str, float], ...] = SLOW
    severity: str = "critical"


SLOS = (
    Slo(
        name="capture_to_score",
        alert="SteadylineScoresLate",
        errors=_LATE.replace("{metric}", "scorer_capture_to_score_seconds").replace("{bound}", "1|1[.]0"),
        budget="0.01",
        by="line",
        what="of the frames get their score later than a second after their capture",
        runbook="slow_scores",
    ),
    Slo(
        name="capture_to_decision",
        alert="SteadylineDecisionsLate",
        errors=_LATE.replace("{metric}", "alerts_capture_to_database_seconds").replace("{bound}", "2|2[.]0"),
        budget="0.01",
        by="line",
        what="of the frames are judged by the rules of alerts later than two seconds after their capture",
        runbook="slow_alerts",
    ),
    Slo(
        name="decision_to_delivery",
        alert="SteadylineDeliveriesLate",
        errors=_LATE.replace("{metric}", "alerts_delivery_delay_seconds").replace("{bound}", "5|5[.]0"),
        budget="0.01",
        by="line",
        what="of the deliveries are taken later than five seconds after the change that they tell",
        runbook="slow_alerts",
    ),
    Slo(
        name="frames_inspected",
        alert="SteadylineFramesNotInspected",
        errors=(
            '((sum by (line) (rate(producers_frames_dropped_total{{reason!="stopped"}}[{window}]))'
            " or 0 * sum by (line) (rate(producers_frames_captured_total[{window}])))"
            ' + (sum by (line) (rate(loop_dead_letters_total{{job="scorer"}}[{window}]))'
            " or 0 * sum by (line) (rate(producers_frames_captured_total[{window}]))))"
            " / sum by (line) (rate(producers_frames_captured_total[{window}]))"
        ),
        budget="0.001",
        by="line",
        what="of the captured frames were dropped or refused",
        runbook="frames_dropped",
    ),
    Slo(
        name="false_alarms",
        alert="SteadylineTooManyAlarms",
        errors=(
            'sum by (line, product) (rate(scorer_frames_scored_total{{verdict="anomalous"}}[{window}]))'
            " / sum by (line, product) (rate(scorer_frames_scored_total[{window}]))"
        ),
        budget="max by (line, product) (scorer_promised_false_alarm_ratio)",
        by="line, product",
        what="of the frames are anomalous, and the product promises far fewer false alarms",
        runbook="false_alarms",
        fast=FAST_ALARMS,
        slow=SLOW_ALARMS,
        severity="warning",
    ),
)


def rules() -> str:
    """Return the file of rules."""
    return "\n".join(("\n".join(_recorded()), "\n".join(_alerts()), ""))


def _recorded() -> Iterator[str]:
    yield "# Made by `python -m tools.dashboards` from tools/dashboards/slo.py: change that, not this."
    yield "groups:"
    yield "  - name: steadyline-slo-errors"
    yield "    rules:"
    for slo in SLOS:
        for window in WINDOWS:
            yield f"      - record: {ERRORS}{window}"
            yield f"        expr: {slo.errors.format(window=window)}"
            yield f"        labels: {{slo: {slo.name}}}"


def _alerts() -> Iterator[str]:
    yield "  - name: steadyline-slo-alerts"
    yield "    rules:"
    for slo in SLOS:
        yield from _alert(slo, slo.alert, slo.fast, slo.severity)
        yield from _alert(slo, f"{slo.alert}ForLong", slo.slow, "warning")


def _alert(slo: Slo, name: str, pairs: tuple[tuple[str, str, float], ...], severity: str) -> Iterator[str]:
    yield f"      - alert: {name}"
    yield "        expr: >-"
    yield from ("          " + line for line in _burns(slo, pairs))
    yield f"        labels: {{severity: {severity}, slo: {slo.name}}}"
    yield "        annotations:"
    place = (
        "{{ $labels.product }} of the line {{ $labels.line }}"
        if "product" in slo.by
        else ("the line {{ $labels.line }}")
    )
    yield f"          summary: The budget of {slo.name} is spent too fast for {place}."
    yield f'          description: "{{{{ $value | humanizePercentage }}}} {slo.what}."'
    yield f"          runbook_url: docs/operations/{slo.runbook}.md"


def _burns(slo: Slo, pairs: tuple[tuple[str, str, float], ...]) -> Iterator[str]:
    for index, (short, long, burn) in enumerate(pairs):
        lead = "or " if index else ""
        yield f"{lead}({_above(slo, short, burn)}"
        yield f"and on ({slo.by}) {_above(slo, long, burn)})"


def _above(slo: Slo, window: str, burn: float) -> str:
    series = f'{ERRORS}{window}{{slo="{slo.name}"}}'
    if slo.budget.replace(".", "").isdigit():
        return f"{series} > {burn:g} * {slo.budget}"
    return f"{series} > on ({slo.by}) {burn:g} * {slo.budget}"
