"""Packages of Debian and Ubuntu, without questions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tools.setup.command import answer


def may_install() -> bool:
    """True when this is root on a machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def update() -> bool:
    """Fetch the lists of packages; True when it worked (the old ones may still do)."""
    return _run("update")


def install(packages: Sequence[str]) -> bool:
    """Install packages (each entry one name or several, separated by spaces); True when it worked."""
    names = [name for entry in packages for name in entry.split()]
    return _run("install", "--no-install-recommends", *names)


def first_available(candidates: Sequence[str]) -> str:
    """Return the first candidate that this release has."""
    for package in candidates:
        if answer(["apt-cache", "show", "--no-all-versions", package]):
            return package
    return candidates[0]


def _run(verb: str, *arguments: str) -> bool:
    options = ["-y", "-qq", "-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0"]
    done = subprocess.run(
        ["apt-get", verb, *options, *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0
