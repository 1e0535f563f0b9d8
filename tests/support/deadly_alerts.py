"""The alerts process, but for one frame: it is killed, as by the kernel for want of memory, at its score.

``python -m tests.support.deadly_alerts FRAME run --line FILE``: behind FRAME are the service's arguments.
"""

import os
import signal
import sys
from typing import Any

from typing_extensions import override

from alerts import app, cli
from alerts.incidents.observation import ScoreSeen
from alerts.intake.decode import RecordDecoder
from steadyline.kafka.broker import Record


class DeadlyDecoder(RecordDecoder):
    """Decodes every score but that of one frame."""

    frame = ""

    @override
    def score(self, record: Record) -> ScoreSeen | None:
        seen = super().score(record)
        if seen is not None and seen.score.frame == self.frame:
            os.kill(os.getpid(), signal.SIGKILL)
        return seen


def main(frame: str, *arguments: str) -> int:
    DeadlyDecoder.frame = frame
    wired: Any = app
    wired.RecordDecoder = DeadlyDecoder
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
