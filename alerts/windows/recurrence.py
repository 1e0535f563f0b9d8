"""When something recurs by an RRULE: begins by the clock on the wall, without a zone.

Only rules are taken whose next begin is never far, so that no question about one takes long: no part may make
it rarer than the longest gap of its frequency, and a question begins shortly before the moment it is about.
Of those with a COUNT all begins are remembered, of others the last ones of each hour that was asked about:
what is asked of a window with every change costs a look-up.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import Any, Literal

from dateutil.rrule import DAILY, HOURLY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

MOST_TEXT = 300
MOST_COUNT = 1_000

_Frequency = Literal[0, 1, 2, 3, 4, 5, 6]  # as dateutil counts them
_FREQUENCIES: dict[str, _Frequency] = {
    "HOURLY": HOURLY,
    "DAILY": DAILY,
    "WEEKLY": WEEKLY,
    "MONTHLY": MONTHLY,
    "YEARLY": YEARLY,
}
_LONGEST_INTERVAL = {"HOURLY": 168, "DAILY": 366, "WEEKLY": 52, "MONTHLY": 24, "YEARLY": 10}
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_TIMES = frozenset({"BYHOUR", "BYMINUTE"})
_PARTS = {
    "HOURLY": frozenset[str](),
    "DAILY": _TIMES | {"BYDAY"},
    "WEEKLY": _TIMES | {"BYDAY"},
    "MONTHLY": _TIMES | {"BYDAY", "BYMONTHDAY", "BYSETPOS"},
    "YEARLY": frozenset[str](),
}
_ALWAYS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"})
_NUMBER = re.compile(r"[0-9]{1,4}")
_BY_DAY = re.compile(rf"([+-]?[1-4])?({'|'.join(_DAYS)})")
_UNTIL = re.compile(r"[0-9]{8}(?:T[0-9]{6})?")
_MOST_GAPS = 100  # begins that are looked at to see how far apart they are


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Begins from ``first`` on, by a rule of RFC 5545, or once.

    ``first`` itself counts only if it fits the rule.
    """

    first: datetime
    rule: str | None = None

    def check(self) -> None:
        """Raise ValueError, with what is wrong, unless this is a rule that we take."""
        _read(self.first, self.rule)

    def last(self, until: datetime) -> datetime | None:
        """Return the last begin at ``until`` or before; None when there is none."""
        counted = _counted(self)
        if counted is not None:
            number = bisect_right(counted, until)
            return counted[number - 1] if number else None
        latest = min(until, _end(self))
        begins = _last_two(self, latest.replace(minute=0, second=0, microsecond=0))
        return next((one for one in reversed(begins) if self.first <= one <= latest), None)

    def next(self, after: datetime) -> datetime | None:
        """Return the first begin after ``after``; None when there is none."""
        counted = _counted(self)
        if counted is not None:
            number = bisect_right(counted, after)
            return counted[number] if number < len(counted) else None
        begin = max(after, self.first - timedelta(microseconds=1))
        found: datetime | None = _rule(self, begin).after(begin)
        return found if found is None or found <= _end(self) else None

    def shortest_gap(self) -> timedelta | None:
        """Return the shortest time between two of the first begins; None when there is one begin."""
        return _shortest_gap(self)


@dataclass(frozen=True, slots=True)
class _ReadRule:
    frequency: str
    interval: int
    count: int | None
    until: datetime
    options: tuple[tuple[str, Any], ...]


def _end(recurrence: Recurrence) -> datetime:
    return _read(recurrence.first, recurrence.rule).until


@lru_cache(maxsize=300)  # more than there may be windows: 1,000 begins take 50 kB
def _counted(recurrence: Recurrence) -> tuple[datetime, ...] | None:
    """Return all begins of a rule with a COUNT; None for another one."""
    if _read(recurrence.first, recurrence.rule).count is None:
        return None
    return tuple(_rule(recurrence, recurrence.first))


@lru_cache(maxsize=5_000)  # some hours of each window
def _last_two(recurrence: Recurrence, hour: datetime) -> tuple[datetime, ...]:
    """Return the last begins before the end of an hour: at most one is within it, and the one before."""
    end = hour + timedelta(hours=1)
    return tuple(deque(takewhile(lambda one: one < end, _rule(recurrence, hour)), maxlen=2))


@lru_cache(maxsize=1_000)
def _shortest_gap(recurrence: Recurrence) -> timedelta | None:
    first = islice(_rule(recurrence, recurrence.first), _MOST_GAPS)
    begins = list(takewhile(lambda one: one <= _end(recurrence), first))
    return min((after - one for one, after in pairwise(begins)), default=None)


def _rule(recurrence: Recurrence, moment: datetime) -> rrule:
    """Return the rule, from a begin on that is shortly before ``moment``: what was before costs nothing."""
    read = _read(recurrence.first, recurrence.rule)
    first = recurrence.first if read.count is not None else _nearer(recurrence.first, read, moment)
    return rrule(
        _FREQUENCIES[read.frequency],
        dtstart=first,
        interval=read.interval,
        count=read.count,
        **dict(read.options),
    )


def _nearer(first: datetime, read: _ReadRule, moment: datetime) -> datetime:
    """Return a moment that recurs with ``first``, at least two intervals before ``moment``.

    Where days are named, it is eight days more: the begin of a week lies between.
    """
    distance = moment - first - timedelta(days=8 * (read.frequency != "HOURLY"))
    if read.frequency in ("MONTHLY", "YEARLY"):
        each = read.interval * (12 if read.frequency == "YEARLY" else 1)
        steps = max(0, distance.days // 31 // each - 2)
        months = first.year * 12 + first.month - 1 + steps * each
        is_by_day = any(name in ("byweekday", "bymonthday") for name, _ in read.options)
        day = 1 if is_by_day and steps else first.day
        return first.replace(year=months // 12, month=months % 12 + 1, day=day)
    unit = {"HOURLY": timedelta(hours=1), "DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}
    each_time = read.interval * unit[read.frequency]
    return first + max(0, distance // each_time - 2) * each_time


@lru_cache(maxsize=1_000)
def _read(first: datetime, rule: str | None) -> _ReadRule:
    if rule is None:
        return _ReadRule("DAILY", 1, 1, datetime.max, ())
    parts = _parts(rule)
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise ValueError(
            "FREQ is HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY: nothing is more often than hourly"
        )
    foreign = set(parts) - _ALWAYS - _PARTS[frequency]
    if foreign:
        raise ValueError(f"{sorted(foreign)[0]} is not taken with FREQ={frequency}")
    interval = _number(parts, "INTERVAL", 1, _LONGEST_INTERVAL[frequency])
    count = _number(parts, "COUNT", 1, MOST_COUNT) if "COUNT" in parts else None
    if count is not None and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude one another")
    options = {name: value for name, value in _options(parts) if value is not None}
    _check_days(first, frequency, interval or 1, parts)
    until = _until(parts["UNTIL"]) if "UNTIL" in parts else datetime.max
    return _ReadRule(frequency, interval or 1, count, until, tuple(options.items()))


def _parts(rule: str) -> dict[str, str]:
    if len(rule) > MOST_TEXT:
        raise ValueError(f"a rule has at most {MOST_TEXT} characters")
    pairs = [part.partition("=") for part in rule.upper().removeprefix("RRULE:").split(";")]
    parts = {name: value for name, _, value in pairs}
    if len(parts) < len(pairs) or not all(parts.values()):
        raise ValueError("a rule is NAME=VALUE;NAME=VALUE, each name once")
    return parts


def _options(parts: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield what dateutil takes; raises ValueError for what it would not."""
    yield "byhour", _numbers(parts, "BYHOUR", 0, 23)
    minutes = _numbers(parts, "BYMINUTE", 0, 59)
    if minutes is not None and len(minutes) > 1:
        raise ValueError("BYMINUTE has one value: nothing is more often than hourly")
    yield "byminute", minutes
    yield "bysecond", (0,) if minutes is not None else None
    # The last days of long months would leave out the others: -1 is the last day of each.
    yield "bymonthday", _numbers(parts, "BYMONTHDAY", 1, 28, is_signed=True)
    yield "bysetpos", _numbers(parts, "BYSETPOS", 1, 4, is_signed=True)
    yield "byweekday", _weekdays(parts["BYDAY"]) if "BYDAY" in parts else None
    if parts.get("WKST", "MO") not in _DAYS:
        raise ValueError("WKST is one of " + ", ".join(_DAYS))
    yield "wkst", _DAYS.index(parts.get("WKST", "MO"))


def _check_days(first: datetime, frequency: str, interval: int, parts: Mapping[str, str]) -> None:
    has_number = any(letter.isdigit() for letter in parts.get("BYDAY", ""))
    if frequency == "DAILY" and "BYDAY" in parts and interval > 1:
        raise ValueError("BYDAY of FREQ=DAILY goes with INTERVAL=1")
    if frequency != "MONTHLY" and has_number:
        raise ValueError("BYDAY with a number goes with FREQ=MONTHLY")
    if "BYDAY" in parts and "BYMONTHDAY" in parts:
        raise ValueError("BYDAY and BYMONTHDAY exclude one another")
    if "BYSETPOS" in parts and ("BYDAY" not in parts or has_number or _TIMES & parts.keys()):
        raise ValueError("BYSETPOS goes with BYDAY without numbers, and without BYHOUR and BYMINUTE")
    is_of_first = "BYDAY" not in parts and "BYMONTHDAY" not in parts
    if frequency == "MONTHLY" and is_of_first and first.day > 28:
        raise ValueError("a month may have no such day as the start: say BYMONTHDAY=-1 for the last one")
    if frequency == "YEARLY" and (first.month, first.day) == (2, 29):
        raise ValueError("most years have no such day as the start")


def _number(parts: Mapping[str, str], name: str, least: int, most: int) -> int:
    value = parts.get(name, "1")
    if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
        raise ValueError(f"{name} is a number from {least} to {most}")
    return int(value)


def _numbers(
    parts: Mapping[str, str], name: str, least: int, most: int, is_signed: bool = False
) -> tuple[int, ...] | None:
    if name not in parts:
        return None
    form = re.compile(r"[+-]?[0-9]{1,2}" if is_signed else r"[0-9]{1,2}")
    values = parts[name].split(",")
    if not all(form.fullmatch(value) and least <= abs(int(value)) <= most for value in values):
        raise ValueError(f"{name} is numbers from {least} to {most}{', or negative ones' * is_signed}")
    return tuple(sorted({int(value) for value in values}))


def _weekdays(text: str) -> tuple[weekday, ...]:
    found = [_BY_DAY.fullmatch(value) for value in text.split(",")]
    days = [(match[1], _DAYS.index(match[2])) for match in found if match is not None]
    if len(days) < len(found) or len({number is None for number, _ in days}) > 1:
        raise ValueError("BYDAY is days as MO,TU or, all with a number from 1 to 4, 1MO,-1FR")
    return tuple(weekday(day, None if number is None else int(number)) for number, day in days)


def _until(text: str) -> datetime:
    """Return the last moment; a day means to its end."""
    if not _UNTIL.fullmatch(text):
        raise ValueError("UNTIL is YYYYMMDD or YYYYMMDDTHHMMSS by the clock of the zone")
    if "T" in text:
        return datetime.strptime(text, "%Y%m%dT%H%M%S")
    return datetime.combine(datetime.strptime(text, "%Y%m%d"), time.max)
