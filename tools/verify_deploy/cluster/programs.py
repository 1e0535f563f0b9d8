"""kubectl and Helm, as an operator uses them, on the control plane of one run."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.verify_deploy.report import CheckFailed

WAIT_SECONDS = 90
# Helm spares the server of a plant: after a hundred questions it asks five a second.
UNTHROTTLED = {"HELM_BURST_LIMIT": "1000", "HELM_QPS": "500"}
SHOWN_LINES = 30


class ClusterPrograms:
    """Runs kubectl (of the control plane's own binary) and Helm; everything they keep goes below ``home``."""

    def __init__(self, kubelab: Path, helm: Path, kubeconfig: Path, home: Path) -> None:
        self._kubectl, self._helm = [str(kubelab), "kubectl"], [str(helm)]
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            **UNTHROTTLED,
        }

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Return what kubectl prints; raises CheckFailed with its words."""
        return self._run([*self._kubectl, *arguments], stdin)

    def helm(self, *arguments: str) -> str:
        """Return what Helm prints; raises CheckFailed with its words."""
        return self._run([*self._helm, *arguments], "")

    def _run(self, command: Sequence[str], stdin: str) -> str:
        done = subprocess.run(
            command,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_SECONDS + 60,
        )
        if done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            shown = " ".join(
                Path(command[0]).name if at == 0 else word for at, word in enumerate(command[:5])
            )
            raise CheckFailed(f"{shown} … ended with {done.returncode}", *words[:SHOWN_LINES])
        return done.stdout
