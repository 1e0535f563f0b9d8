"""The page of a run: rows of each panel, alerts and what made them fire."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.watching.cause import Cause
from bench.watching.queries import PanelRows


@dataclass(frozen=True, slots=True)
class FiredAlerts:
    """What came of a cause: alert → seconds until it fired, and the others that fired meanwhile."""

    cause: Cause
    seconds: Mapping[str, float]
    others: frozenset[str]

    @property
    def missing(self) -> list[str]:
        """The alerts that did not come."""
        return sorted(self.cause.every - self.seconds.keys())


def markdown(
    machine: object, panels: Sequence[PanelRows], fired: Sequence[FiredAlerts], unfired: Sequence[str]
) -> str:
    """Return the page's tables."""
    return "\n".join(
        (f"Machine: {machine}", "", *_panels(panels), "", *_fired(fired), "", *_unfired(unfired), "")
    )


def _panels(panels: Sequence[PanelRows]) -> Iterator[str]:
    empty = sum(not one.is_right for one in panels)
    quiet = sum(not any(one.rows) for one in panels if one.panel.quiet)
    yield "## Rows of each panel"
    yield f"{len(panels)} panels; {quiet} were empty for the reason that they give, {empty} without one."
    yield ""
    yield "| dashboard | panel | rows of each query | empty on a healthy line |"
    yield "|---|---|---|---|"
    for one in panels:
        rows = ", ".join(map(str, one.rows))
        yield f"| {one.dashboard} | {one.panel.title} | {rows} | {one.panel.quiet} |"


def _fired(fired: Sequence[FiredAlerts]) -> Iterator[str]:
    expected = {name for one in fired for name in one.cause.every}
    came = {name for one in fired for name in one.seconds}
    yield "## Alerts, each by its cause"
    yield f"{len(came)} of the {len(expected)} alerts of these causes fired."
    yield "0 seconds: it fired already when the cause began. *After*: it comes when the cause is over."
    yield ""
    yield "| cause | alert: seconds until it fired | not fired | others that fired meanwhile |"
    yield "|---|---|---|---|"
    for one in fired:
        told = ", ".join(_told(one, name) for name in sorted(one.seconds))
        others = ", ".join(sorted(one.others))
        yield f"| {one.cause.what} | {told} | {', '.join(one.missing)} | {others} |"


def _told(one: FiredAlerts, name: str) -> str:
    after = " *after*" if name in one.cause.afterwards else ""
    return f"{name}: {one.seconds[name]:.0f}{after}"


def _unfired(unfired: Sequence[str]) -> Iterator[str]:
    yield "## Alerts that no cause of this run made fire"
    yield f"Their unit tests of promtool do: {', '.join(unfired)}." if unfired else "None."
