"""Structured logs: JSON with trace ids for machines, readable on a terminal."""

import logging
import sys
from typing import Any

import structlog

from steadyline.settings import TelemetrySettings
from steadyline.telemetry.tracing import current_ids

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Clients that log every retry of an outage; what matters of it we log ourselves.
_CHATTY = ("kafka", "urllib3", "opentelemetry", "asyncio", "fsspec")


def get_logger(name: str) -> Any:
    """Return a bound logger: ``log.info("event_word", key=value)``."""
    return structlog.get_logger(name)


def configure_logs(service: str, settings: TelemetrySettings) -> None:
    """Set up logging for this process; lines go to stderr."""
    level = _LEVELS[settings.log_level]
    for_people = settings.steadyline_log_format == "console" or (
        settings.steadyline_log_format == "auto" and sys.stderr.isatty()
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if for_people
        else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_ids,
            structlog.processors.StackInfoRenderer(),
            *([] if for_people else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _add_ids(_logger: Any, _method: str, event: Any) -> Any:
    ids = current_ids()
    if ids is not None:
        event.setdefault("trace_id", ids[0])
        event.setdefault("span_id", ids[1])
    return event
