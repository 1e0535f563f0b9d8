"""Many alerts to five endpoints, and the process is killed three times: who has got what, and how often."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from bench.alerts.endpoints import BenchEndpoint, five_endpoints
from bench.alerts.rig import CAMERAS, INCIDENT, AlertsProcess, AlertsRig

KILLED_AT = (0.25, 0.5, 0.75)  # shares of the alerts that the first endpoint has got
WITHIN_SECONDS = 1800.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """What one endpoint has got of ``expected`` alerts, and in how many seconds; None: not all of them."""

    name: str
    is_live: bool
    expected: int
    got: int
    doubled: int
    out_of_order: int
    refused: int
    seconds: float | None

    @property
    def is_as_promised(self) -> bool:
        """Tell whether a live endpoint has each alert, in order; a dead one promises nothing."""
        return not self.is_live or (self.got == self.expected and self.out_of_order == 0)


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """The figures of one run."""

    alerts: int
    seconds: float
    kills: int
    endpoints: list[EndpointFigures]

    @property
    def is_as_promised(self) -> bool:
        """Tell whether every live endpoint has what it should."""
        return all(one.is_as_promised for one in self.endpoints)

    @property
    def per_second(self) -> float:
        """Deliveries a second, over all endpoints together and with the dead times after kills."""
        return sum(one.got for one in self.endpoints) / self.seconds


def measure(rig: AlertsRig, alerts: int, say: Say) -> DeliveryFigures:
    """Cause at least ``alerts`` alerts, and deliver them over three kills."""
    with five_endpoints() as endpoints:
        process = rig.start("one")
        rig.subscribe(process, endpoints)
        incidents = ceil(alerts / len(INCIDENT) / len(CAMERAS))
        began, wanted = time.monotonic(), rig.send(incidents)
        say(f"{wanted} scores are written, {wanted} alerts are to come of them")
        finished: dict[str, float] = {}

        def done() -> bool:
            for one in endpoints:
                if one.name not in finished and len(one.changes()) >= wanted:
                    finished[one.name] = time.monotonic() - began
                    say(f"{one.name} has all of them after {finished[one.name]:.0f} s")
            return len(finished) == sum(one.is_live for one in endpoints)

        for share in KILLED_AT:
            process = _kill_at(rig, process, endpoints[0], share * wanted)
            say(f"killed after {len(endpoints[0].changes())} alerts at the first endpoint")
        rig.wait(done, WITHIN_SECONDS)
        seconds = time.monotonic() - began
        rig.wait(lambda: len(rig.told()) >= wanted, 60)
        told = rig.told()
        found = [_figures(one, told, finished.get(one.name)) for one in endpoints]
        return DeliveryFigures(len(told), seconds, len(KILLED_AT), found)


def _kill_at(rig: AlertsRig, process: AlertsProcess, endpoint: BenchEndpoint, count: float) -> AlertsProcess:
    """Kill the process once the endpoint has got so many alerts, and start the next."""
    rig.wait(lambda: len(endpoint.arrivals) >= count, WITHIN_SECONDS)
    rig.kill(process)
    return rig.start("one")


def _figures(endpoint: BenchEndpoint, told: set[tuple[str, int]], seconds: float | None) -> EndpointFigures:
    return EndpointFigures(
        endpoint.name,
        endpoint.is_live,
        len(told),
        len(endpoint.changes() & told),
        endpoint.doubled(),
        endpoint.out_of_order(),
        endpoint.refused,
        seconds,
    )
