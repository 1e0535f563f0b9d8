"""The figures of the bench of deliveries as tables."""

from dataclasses import asdict

from bench.alerts.deliveries import DeliveryFigures
from bench.alerts.takeover import PROMISED_SECONDS, TakeoverFigures
from bench.line.report import Section

COLUMNS = ("endpoint", "alerts", "got", "twice", "out of order", "refused by it", "all after")


def delivery_section(database: str, found: DeliveryFigures) -> Section:
    """Return the table of one run of deliveries."""
    rows = [
        [
            one.name,
            str(one.expected),
            str(one.got),
            str(one.doubled),
            str(one.out_of_order),
            str(one.refused),
            "never" if one.seconds is None else f"{one.seconds:.0f} s",
        ]
        for one in found.endpoints
    ]
    title = f"{found.alerts} alerts to five endpoints over {found.kills} kills, on {database}"
    note = (
        f"{found.per_second:.0f} deliveries a second over all endpoints in {found.seconds:.0f} s; "
        f"{'as promised' if found.is_as_promised else 'NOT as promised'}"
    )
    return Section(f"deliveries-{database}", title, asdict(found), COLUMNS, rows, note)


def takeover_section(database: str, found: TakeoverFigures) -> Section:
    """Return the table of one takeover."""
    rows = [[camera, f"{seconds:.1f} s"] for camera, seconds in sorted(found.seconds.items())]
    title = f"One of two processes is killed, on {database}: the first alert of what was captured afterwards"
    note = f"the longest is {found.longest:.1f} s; promised are {PROMISED_SECONDS:g} s"
    return Section(f"takeover-{database}", title, asdict(found), ("camera", "after"), rows, note)
