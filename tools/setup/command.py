"""Running other programs during set-up, and the one error that ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
CACHE = ROOT / ".cache"


class SetUpFailed(Exception):
    """What could not be done, and what to do about it; one line."""


def say(text: str) -> None:
    """Show progress."""
    print(f"set-up: {text}", flush=True)


def run(
    command: Sequence[str], what: str, environment: Mapping[str, str] | None = None, attempts: int = 1
) -> None:
    """Run a command with its output shown; SetUpFailed when it fails ``attempts`` times.

    What talks to a registry gets two attempts: a download that broke off goes on where it was.
    """
    status = 0
    for attempt in range(attempts):
        if attempt:
            say(f"{what}: once more")
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **(environment or {})},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except FileNotFoundError as error:
            raise SetUpFailed(f"{what}: {command[0]} is not there") from error
        status = done.returncode
        if status == 0:
            return
    shown = " ".join(command[:4])
    raise SetUpFailed(f"{what} failed: {shown} … ended with status {status}; its own words are above")


def answer(command: Sequence[str]) -> str | None:
    """Return what a quick command says (stdout and stderr), None when it fails or is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None


def base_python() -> str:
    """Return the Python that runs this, outside of any virtual environment."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)
