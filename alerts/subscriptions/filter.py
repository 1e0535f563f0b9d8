"""Which alerts a subscription is told of: pure."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Protocol

from pydantic import ConfigDict, Field

from alerts.incidents.incident import SEVERITIES
from alerts.subscriptions.notify_hours import NotifyHours
from steadyline.contracts.alert import Alert, AlertChange, IncidentKind, Severity
from steadyline.contracts.message import Items, Name, Part

MOST_ENTRIES = 64
_RANK: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}

Mismatch = Literal["product", "camera", "kind", "severity", "change", "hours"]

Names = Annotated[Items[Name], Field(max_length=MOST_ENTRIES)]


class AboutWhat(Protocol):
    """An incident, or a change of it."""

    @property
    def product(self) -> str | None: ...

    @property
    def camera(self) -> str | None: ...

    @property
    def kind(self) -> str: ...

    @property
    def severity(self) -> str: ...


class SubscriptionFilter(Part):
    """Every condition must hold; an empty one holds for everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: Names = Field([], description="Products by name; empty: all, and incidents of no product.")
    cameras: Names = Field([], description="Cameras by pattern, east-* for example; empty: all, and none.")
    kinds: frozenset[IncidentKind] = Field(frozenset(), description="Kinds of incident; empty: all.")
    least_severity: Severity = Field("info", description="The least severity.")
    changes: frozenset[AlertChange] = Field(frozenset(), description="Changes of an incident; empty: all.")
    hours: NotifyHours | None = Field(None, description="Hours of the week; null: always.")

    def is_about(self, incident: AboutWhat) -> bool:
        """Tell whether an incident is of those it is told of, whatever has changed of it, and when."""
        return self._foreign(incident) is None

    def sees(self, camera: str | None) -> bool:
        """Tell whether it is told of a camera; None stands for what is about no camera."""
        return not self.cameras or _is_like(camera, self.cameras)

    def matches(self, alert: Alert) -> bool:
        """Tell whether the subscription is told of ``alert``; the hours are those of the change itself."""
        return self.mismatch(alert) is None

    def mismatch(self, alert: Alert) -> Mismatch | None:
        """Return the word of the first condition that does not hold for ``alert``; None when all do."""
        foreign = self._foreign(alert)
        if foreign is not None:
            return foreign
        if self.changes and alert.change not in self.changes:
            return "change"
        return "hours" if self.hours is not None and not self.hours.includes(alert.at) else None

    def _foreign(self, incident: AboutWhat) -> Mismatch | None:
        if self.products and incident.product not in self.products:
            return "product"
        if not self.sees(incident.camera):
            return "camera"
        if self.kinds and incident.kind not in self.kinds:
            return "kind"
        is_less = _RANK[incident.severity] < _RANK[self.least_severity]
        return "severity" if is_less else None


def _is_like(camera: str | None, patterns: list[str]) -> bool:
    return camera is not None and any(fnmatchcase(camera, pattern) for pattern in patterns)
