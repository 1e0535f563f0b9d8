"""Hours of the week, in one zone, in which a subscription is told of alerts."""

from datetime import datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, ConfigDict, Field

from steadyline.contracts.message import Part

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of the data base is an OSError
        raise ValueError(f"{name[:64]!r} is no zone, as Europe/Vienna is one") from error
    return name


def _without_zone(moment: time) -> time:
    if moment.tzinfo is not None:
        raise ValueError("the zone stands beside the hours")
    return moment


ZoneName = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
LocalTime = Annotated[time, AfterValidator(_without_zone)]


class NotifyHours(Part):
    """From ``start`` to before ``end`` by the clock of ``zone``, on each of ``weekdays``.

    An ``end`` that is not after ``start`` is on the next day, which need not be among the weekdays: a night
    shift belongs to the day on which it begins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: ZoneName = Field(description="IANA name of the zone, for example Europe/Vienna.")
    weekdays: frozenset[Weekday] = Field(frozenset(WEEKDAYS), description="Days on which the hours begin.")
    start: LocalTime = Field(time(0), description="Begin of the hours.")
    end: LocalTime = Field(time(0), description="End of the hours; not after start: on the next day.")

    def includes(self, moment: datetime) -> bool:
        """Tell whether a moment with a zone lies within the hours."""
        local = moment.astimezone(ZoneInfo(self.zone))
        at = local.time()
        if self.start < self.end:
            return self.start <= at < self.end and self._begins_on(local)
        if at >= self.start:
            return self._begins_on(local)
        return at < self.end and self._begins_on(local - timedelta(days=1))

    def _begins_on(self, local: datetime) -> bool:
        return WEEKDAYS[local.weekday()] in self.weekdays
