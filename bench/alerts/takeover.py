"""Two processes share the partitions, one is killed: how long until the other has all of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.alerts.endpoints import BenchEndpoint, endpoint
from bench.alerts.rig import CAMERAS, AlertsRig

PROMISED_SECONDS = 10.0
SETTLED_WITHIN = 120.0
EVERY_SECONDS = 1.0  # an incident of each camera: deliveries must not pile up, for they go out in order


@dataclass(frozen=True, slots=True)
class TakeoverFigures:
    """Per camera, the seconds from the kill to the first alert of a frame that was captured after it."""

    seconds: dict[str, float]

    @property
    def longest(self) -> float:
        """The seconds until the last camera's alerts came again."""
        return max(self.seconds.values())

    @property
    def is_as_promised(self) -> bool:
        """Tell whether all of them came soon enough."""
        return self.longest <= PROMISED_SECONDS


def measure(rig: AlertsRig, say: Callable[[str], None]) -> TakeoverFigures:
    """Let scores of all cameras flow through two processes, and kill one of them."""
    with endpoint("healthy") as one:
        processes = [rig.start("one"), rig.start("two")]
        rig.subscribe(processes[0], [one])
        taken, due = [process.taken() for process in processes], time.monotonic()

        def send() -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY_SECONDS
                rig.send(1)

        def both_work() -> bool:
            send()
            return all(process.taken() > before for process, before in zip(processes, taken, strict=True))

        rig.wait(both_work, SETTLED_WITHIN)
        say("both processes take scores; one is killed")
        rig.kill(processes[0])
        killed, began = datetime.now(UTC), time.monotonic()

        def all_came() -> bool:
            send()
            return set(first_after(one, killed)) == set(CAMERAS)

        rig.wait(all_came, SETTLED_WITHIN)
        say(f"alerts of all cameras came again after {time.monotonic() - began:.1f} s")
        return TakeoverFigures(first_after(one, killed))


def first_after(endpoint: BenchEndpoint, moment: datetime) -> dict[str, float]:
    """Return camera → seconds from ``moment`` to the first alert of an incident that opened after it."""
    found: dict[str, float] = {}
    for arrival in list(endpoint.arrivals):
        alert = arrival.alert
        if alert.camera is not None and alert.change == "opened" and alert.at > moment:
            found.setdefault(alert.camera, (arrival.at - moment).total_seconds())
    return found
