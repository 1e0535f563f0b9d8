"""The logs of all services as one: each line with its time, its service and what happened, as it comes."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from steadyline.terminal import PlainConsole, StyledText, styled

_SHOWN_ELSEWHERE = frozenset({"event", "level", "service", "timestamp", "trace_id", "span_id"})
_STYLES = {"debug": "dim", "info": "", "warning": "yellow", "error": "bold red"}
_LONGEST = 400  # characters of a line on the terminal; the file has all of it
_AT_ONCE = 1 << 20  # bytes read of one file in one turn


class LogView:
    """Prints what is appended to the log of each service, from the files' present ends on."""

    def __init__(self, console: PlainConsole) -> None:
        self._console = console
        self._read: dict[Path, tuple[str, int, bytes]] = {}

    def follow(self, service: str, log: Path) -> None:
        """Follow the log of a service, which need not be there yet."""
        if log not in self._read:
            self._read[log] = (service, log.stat().st_size if log.exists() else 0, b"")

    def show(self) -> None:
        """Print what has come since the last time."""
        for log, (service, place, rest) in list(self._read.items()):
            if not log.exists():
                continue
            with log.open("rb") as file:
                file.seek(place)
                data = file.read(_AT_ONCE)
            *lines, rest = (rest + data).split(b"\n")
            self._read[log] = (service, place + len(data), rest[-_AT_ONCE:])
            for line in lines:
                if line.strip():
                    self._console.print(readable(service, line.decode(errors="replace")), soft_wrap=True)


def readable(service: str, line: str) -> StyledText:
    """Return one line of a log as a person reads it; a line that is no JSON is shown as it is."""
    try:
        fields: Any = json.loads(line)
        moment = datetime.fromisoformat(fields["timestamp"].replace("Z", "+00:00")).astimezone()
        level, event = str(fields["level"]), str(fields["event"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return styled((f"{'':8} {service:<10}", "cyan"), f" {line[:_LONGEST]}")
    said = " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
        if name not in _SHOWN_ELSEWHERE
    )
    style = _STYLES.get(level, "")
    text = f" {level:<7} {event.replace('_', ' ')} {said}".rstrip()
    return styled((f"{moment:%H:%M:%S} {service:<10}", "cyan"), (text[:_LONGEST], style))
