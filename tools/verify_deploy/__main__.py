"""``python -m tools.verify_deploy``: every step, with its seconds; ``--keep`` lets the cluster run on."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.servers.process import ServerFailed
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import configure_logs
from tools.chart.helm import helm_program
from tools.setup.command import ROOT
from tools.verify_deploy.cluster.kubelab import provide_kubelab
from tools.verify_deploy.report import CheckFailed, StepReport, say
from tools.verify_deploy.run import lab, verify

HOME = ROOT / "var" / "verify-deploy"
CHART = ROOT / "deploy" / "helm" / "steadyline"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when everything was as it should be, 1 after what was not, 130 when it was interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    configure_logs("verify-deploy", TelemetrySettings(log_level="error"))
    try:
        with FolderLock(options.home):
            _run(options.chart.resolve(), options.home.resolve(), options.keep)
    except FolderInUse as error:
        say(f"verify-deploy: {error}: another one works there; wait for it, or give --home another folder")
        return 1
    except (CheckFailed, ServerFailed) as error:
        say(f"verify-deploy: {error}")
        return 1
    except KeyboardInterrupt:
        say("verify-deploy: interrupted; everything is ended")
        return 130
    return 0


def _run(chart: Path, home: Path, keep: bool) -> None:
    report = StepReport()
    with report.step("tools") as notes:
        program = helm_program()
        if program is None:
            raise CheckFailed("Helm is not there: `make init` brings it")
        kubelab, helm = provide_kubelab(), Path(program)
        notes.append(f"{kubelab.parent.name}, {helm}")
    with lab(kubelab, helm, home, report) as cluster:
        try:
            verify(chart, cluster, report)
            report.end()
        except CheckFailed:
            if keep:
                _hold(cluster.kubeconfig)
            raise
        if keep:
            _hold(cluster.kubeconfig)


def _hold(kubeconfig: Path) -> None:
    say(f"the cluster runs on until Ctrl-C: export KUBECONFIG={kubeconfig}")
    threading.Event().wait()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verify-deploy", description=__doc__)
    parser.add_argument("--chart", type=Path, default=CHART, help="Folder of the chart.")
    parser.add_argument("--home", type=Path, default=HOME, help="Folder for what runs; emptied.")
    parser.add_argument(
        "--keep", action="store_true", help="Let the cluster run on at the end, until Ctrl-C."
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
