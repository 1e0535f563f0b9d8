"""``python -m tests.support.deliverer_process FILE NAME``: delivers from a database until it is killed.

Its lease is short, so that what it had claimed when it was killed is soon due again.
"""

import sys
import threading
from datetime import timedelta

from alerts.deliveries.claims import RetryRules
from steadyline.clock import SystemClock
from tests.support.alert_outbox import DelivererBench, OutboxBench

RULES = RetryRules(timedelta(seconds=3), timedelta(seconds=0.05), timedelta(seconds=0.2))


def main(file: str, name: str) -> None:
    """Deliver for ever."""
    outbox = OutboxBench.on_url(f"sqlite:///{file}", SystemClock())
    DelivererBench(outbox, name, rules=RULES).deliverer.run(threading.Event(), lambda: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
