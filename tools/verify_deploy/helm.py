"""Where Helm is."""

import shutil
from pathlib import Path

from tools.setup.command import CACHE
from tools.verify_deploy.report import CheckFailed

BROUGHT = CACHE / "deploy" / "bin" / "helm"


def found_helm() -> Path | None:
    """Return the Helm that set-up has brought, or the system's; None when there is none."""
    if BROUGHT.exists():
        return BROUGHT
    system = shutil.which("helm")
    return None if system is None else Path(system)


def provide_helm() -> Path:
    """Return Helm; raises CheckFailed when it is not there."""
    found = found_helm()
    if found is None:
        raise CheckFailed("Helm is not there: `make init` brings it")
    return found
