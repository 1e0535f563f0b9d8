"""Structured logs: JSON with trace ids for machines, or readable lines on a terminal."""

import io
import logging
import sys
from typing import Any

import structlog
from typing_extensions import override

from steadyline.settings import TelemetrySettings
from steadyline.telemetry.tracing import current_ids
from steadyline.terminal import visible

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Clients that log every retry of an outage; we log what matters of it ourselves.
_FOR_THE_RENDERER = ("exc_info", "stack_info", "stack")  # it makes lines of its own of these
_CHATTY = ("kafka", "urllib3", "opentelemetry", "asyncio", "fsspec")


def get_logger(name: str) -> Any:
    """Return a bound logger: ``log.info("event_word", key=value)``."""
    return structlog.get_logger(name)


def is_configured() -> bool:
    """True once ``configure_logs`` was called."""
    return structlog.is_configured()


def configure_logs(service: str, settings: TelemetrySettings) -> None:
    """Set up logging for this process; all lines, also those of libraries, go to stderr in one form."""
    level = _LEVELS[settings.log_level]
    for_people = settings.steadyline_log_format == "console" or (
        settings.steadyline_log_format == "auto" and sys.stderr.isatty()
    )

    def add_service(_logger: Any, _method: str, event: Any) -> Any:
        event["service"] = service  # a context variable would be missing in other threads
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_ids,
    ]
    last = _for_people() if for_people else _for_machines()
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries(shared, last)


def _for_people() -> list[Any]:
    colours = sys.stderr.isatty()
    return [_harmless, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_plain_stack)]


def _harmless(_logger: Any, _method: str, event: Any) -> Any:
    """Make what comes from elsewhere harmless for the terminal; what is no text is printed as its repr."""
    return {
        visible(name): visible(value) if isinstance(value, str) else _VisibleRepr(value)
        for name, value in event.items()
        if name not in _FOR_THE_RENDERER
    } | {name: event[name] for name in _FOR_THE_RENDERER if name in event}


class _VisibleRepr:
    """Any object whose repr, which a library may have written, cannot move the cursor."""

    def __init__(self, value: object) -> None:
        self._value = value

    @override
    def __repr__(self) -> str:
        return visible(repr(self._value))


def _plain_stack(output: Any, error: Any) -> None:
    """Write the stack without local variables, which the pretty ones print, secrets among them.

    Its lines are set in, so that a line feed in an error's message begins no line of the log.
    """
    held = io.StringIO()
    structlog.dev.plain_traceback(held, error)
    output.write("\n".join(f"  {visible(line)}" for line in held.getvalue().rstrip("\n").split("\n")))


def _for_machines() -> list[Any]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _take_over_libraries(shared: list[Any], last: list[Any]) -> None:
    """Send what libraries log through the same processors."""
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()], processors=[strip, *last]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _add_ids(_logger: Any, _method: str, event: Any) -> Any:
    ids = current_ids()
    if ids is not None:
        event.setdefault("trace_id", ids[0])
        event.setdefault("span_id", ids[1])
    return event
