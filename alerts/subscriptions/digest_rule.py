"""When a subscription that does not want to be told at once is told: pure."""

from datetime import datetime, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from alerts.incidents.incident import SEVERITIES
from alerts.subscriptions.notify_hours import LocalTime, ZoneName
from alerts.subscriptions.spoken_duration import SpokenDuration
from steadyline.contracts.alert import Alert, Severity
from steadyline.contracts.message import Part

SHORTEST, LONGEST = timedelta(minutes=15), timedelta(days=7)

_DAY = timedelta(days=1)


def _within_bounds(every: timedelta) -> timedelta:
    if not SHORTEST <= every <= LONGEST:
        raise ValueError("a digest comes every 15m to 7d")
    return every


class DigestHour(Part):
    """A time of the day by the clock of a zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: LocalTime = Field(description="Time of the day, 07:00 for example.")
    zone: ZoneName = Field(description="IANA name of the zone, for example Europe/Vienna.")


class DigestRule(Part):
    """What matches is collected, and told together when the time has come; of nothing nothing is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Annotated[SpokenDuration, AfterValidator(_within_bounds)] = Field(
        description="Time between two digests, from 15m to 7d."
    )
    at: DigestHour | None = Field(
        None, description="Hour at which a digest comes that comes every so many whole days; null: any."
    )
    immediate_from: Severity | None = Field(
        None, description="Severity from which an alert is told at once instead; null: none is."
    )

    @model_validator(mode="after")
    def _hour_of_a_day(self) -> Self:
        if self.at is not None and self.every % _DAY:
            raise ValueError("a digest at an hour comes every so many whole days, every: 1d for example")
        return self

    def is_told_at_once(self, alert: Alert) -> bool:
        """Tell whether an alert is so serious that it waits for no digest."""
        if self.immediate_from is None:
            return False
        return SEVERITIES.index(alert.severity) >= SEVERITIES.index(self.immediate_from)

    def end_of_span(self, since: datetime) -> datetime:
        """Return when the span is over that began at ``since``: later, by at most ``every`` and a day."""
        if self.at is None:
            return since + self.every
        # By the clock on the wall, so that it is the same hour on both sides of a change to summer time.
        zone = ZoneInfo(self.at.zone)
        begun = since.astimezone(zone).replace(tzinfo=None) + self.every - _DAY
        wall = datetime.combine(begun.date(), self.at.time)
        while wall <= begun or wall.replace(tzinfo=zone).astimezone(since.tzinfo) <= since:
            wall += _DAY
        return wall.replace(tzinfo=zone).astimezone(since.tzinfo)

    def last_end(self, since: datetime, now: datetime) -> datetime | None:
        """Return the newest end of a span up to ``now``, the first span having begun at ``since``.

        None while the first span lasts. After an outage that lasted for several there is one digest of all.
        """
        if self.at is None:
            spans = (now - since) // self.every
            return since + spans * self.every if spans > 0 else None
        found, end = None, self.end_of_span(since)
        while end <= now:
            found, end = end, self.end_of_span(end)
        return found
