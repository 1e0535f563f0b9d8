"""A maintenance window: its schedule, its scope, and whether it is in force; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Protocol, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, NaiveDatetime, model_validator

from alerts.subscriptions.filter import Names
from alerts.subscriptions.notify_hours import ZoneName
from alerts.windows.recurrence import MOST_TEXT, Recurrence
from steadyline.contracts.message import AwareDatetime, Part

LONGEST_MINUTES = 7 * 24 * 60
_FIRST_YEAR, _LAST_YEAR = 2000, 2150

# A begin on the wall is at most this far from where its offset alone would put it, when clocks change.
_CLOCK_CHANGE = timedelta(hours=3)
_EARLIER = timedelta(microseconds=1)


class HasScope(Protocol):
    """An incident, or an alert: what it is about."""

    @property
    def camera(self) -> str | None:
        """Its camera, if any."""
        ...

    @property
    def product(self) -> str | None:
        """Its product, if any."""
        ...


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a window is in force, from ``begin`` to before ``end``."""

    begin: datetime
    end: datetime

    def includes(self, moment: datetime) -> bool:
        """Tell whether a moment lies within."""
        return self.begin <= moment < self.end


class WindowScope(Part):
    """What a window holds: the line as a whole unless something is named, and then what fits all that is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: Names = Field([], description="Products by name; empty: all, and incidents of no product.")
    cameras: Names = Field([], description="Cameras by pattern, east-* for example; empty: all, and none.")

    def includes(self, about: HasScope) -> bool:
        """Tell whether an incident is in the scope."""
        if self.products and about.product not in self.products:
            return False
        camera = about.camera
        return not self.cameras or (
            camera is not None and any(fnmatchcase(camera, pattern) for pattern in self.cameras)
        )


class WindowSchedule(Part):
    """When a window is in force: it begins by the clock on the wall, and lasts so long whatever clocks do.

    A begin that clocks leave out is as much later as they jump; of one that comes twice it is the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: NaiveDatetime = Field(description="First begin by the clock of the zone: 2026-03-01T22:00:00.")
    duration_minutes: int = Field(ge=1, le=LONGEST_MINUTES, description="How long each occurrence lasts.")
    zone: ZoneName = Field(description="IANA name of the zone, for example Europe/Vienna.")
    rule: Annotated[str, Field(max_length=MOST_TEXT)] | None = Field(
        None,
        description="RRULE of RFC 5545 by which it recurs, FREQ=WEEKLY;BYDAY=SU for example; null: once. A "
        "start that does not fit the rule is no occurrence.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _FIRST_YEAR <= self.start.year <= _LAST_YEAR:
            raise ValueError(f"a window starts from {_FIRST_YEAR} to {_LAST_YEAR}")
        if self.start.microsecond:
            raise ValueError("a window starts at a whole second")
        self._recurrence.check()
        gap = self._recurrence.shortest_gap()
        if gap is not None and gap < self._duration:
            raise ValueError("a window lasts no longer than the time between two of its begins")
        return self

    def last_begun(self, moment: datetime) -> Occurrence | None:
        """Return the occurrence that has begun last at ``moment``."""
        begin = self._recurrence.last(self._on_the_wall(moment) + _CLOCK_CHANGE)
        while begin is not None:
            occurrence = self._occurrence(begin)
            if occurrence.begin <= moment:
                return occurrence
            begin = self._recurrence.last(begin - _EARLIER)
        return None

    def next_after(self, moment: datetime) -> Occurrence | None:
        """Return the first occurrence that begins after ``moment``."""
        begin = self._recurrence.next(self._on_the_wall(moment) - _CLOCK_CHANGE)
        while begin is not None:
            occurrence = self._occurrence(begin)
            if occurrence.begin > moment:
                return occurrence
            begin = self._recurrence.next(begin)
        return None

    @property
    def _recurrence(self) -> Recurrence:
        return Recurrence(self.start, self.rule)

    @property
    def _duration(self) -> timedelta:
        return timedelta(minutes=self.duration_minutes)

    def _on_the_wall(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)

    def _occurrence(self, begin: datetime) -> Occurrence:
        moment = begin.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        return Occurrence(moment, moment + self._duration)


class MaintenanceWindow(Part):
    """While it is in force, changes of incidents in its scope are recorded and nobody is notified."""

    id: str
    name: str
    owner: str
    scope: WindowScope
    schedule: WindowSchedule
    version: int = Field(description="Counts up with each edit.")
    created_at: AwareDatetime
    ended_at: AwareDatetime | None = Field(None, description="When an occurrence was last ended early.")

    def occurrence_at(self, moment: datetime) -> Occurrence | None:
        """Return the occurrence that is in force at ``moment``."""
        begun = self._shortened(self.schedule.last_begun(moment))
        return begun if begun is not None and begun.includes(moment) else None

    def last_over(self, moment: datetime) -> Occurrence | None:
        """Return the occurrence that was the last to be over at ``moment``."""
        begun = self._shortened(self.schedule.last_begun(moment))
        if begun is None or begun.end <= moment:
            return begun
        return self._shortened(self.schedule.last_begun(begun.begin - _EARLIER))

    def _shortened(self, occurrence: Occurrence | None) -> Occurrence | None:
        if occurrence is None or self.ended_at is None or not occurrence.includes(self.ended_at):
            return occurrence
        return Occurrence(occurrence.begin, self.ended_at)


def in_force(
    windows: Iterable[MaintenanceWindow], about: HasScope, moment: datetime
) -> tuple[MaintenanceWindow, Occurrence] | None:
    """Return the first window that holds what is about such a scope at ``moment``, and its occurrence."""
    for window in windows:
        if window.scope.includes(about):
            occurrence = window.occurrence_at(moment)
            if occurrence is not None:
                return window, occurrence
    return None
