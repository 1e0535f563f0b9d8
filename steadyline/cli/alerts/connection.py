"""The connection to the alerts' API, as the environment has it, and what every command takes."""

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from steadyline.errors import InvalidConfiguration
from steadyline.ops.alerts_client import AlertsClient, open_client
from steadyline.setting_text import read_text_file
from steadyline.settings import AlertsClientSettings, read_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most entries to list, newest first.")]
IncidentName = Annotated[str, typer.Argument(help="Id of the incident.")]
Comment = Annotated[str | None, typer.Option("--comment", help="What to say with it; by default nothing.")]
OutFile = Annotated[Path, typer.Option("--out", help="File that is written; one that is there is replaced.")]


def connect(timeout: timedelta = timedelta(seconds=30)) -> AlertsClient:
    """Return a client by the environment; raises InvalidConfiguration when there is no token."""
    settings = read_settings(AlertsClientSettings)
    token = settings.token.get_secret_value() if settings.token else None
    return open_client(settings.url, token, timeout)


def new_key() -> str:
    """Return an Idempotency-Key that no other request has."""
    return uuid.uuid4().hex


def read_json_file(file: Path, what: str) -> Any:
    """Return what a file of JSON says; raises InvalidConfiguration."""
    try:
        return json.loads(read_text_file(file, what))
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration(f"{what} is no JSON: {error}") from error


def write_bytes(file: Path, data: bytes) -> None:
    """Write a file; raises InvalidConfiguration when it cannot be written."""
    try:
        file.write_bytes(data)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it is no path"
        raise InvalidConfiguration(f"{file} cannot be written: {told}") from error
