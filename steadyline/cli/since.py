"""``--since 24h``: a moment, given as the time that has passed since."""

from datetime import UTC, datetime, timedelta

from steadyline.errors import InvalidConfiguration
from steadyline.line_fields import parse_duration


def moment(since: str | None, option: str = "--since") -> datetime | None:
    """Return the moment; raises InvalidConfiguration when ``since``, given as ``option``, is no duration."""
    if since is None:
        return None
    try:
        duration: object = parse_duration(since)
    except ValueError:
        duration = None
    if not isinstance(duration, timedelta):
        raise InvalidConfiguration(f"{option} {since!r}: give a number and s, m, h or d, 24h for example")
    return datetime.now(UTC) - duration
