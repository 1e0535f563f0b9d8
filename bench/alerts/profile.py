"""Shows what one delivery costs: ``python -m bench.alerts.profile [--alerts N] [--rows N]``.

A deliverer of this process works off an outbox on SQLite; its endpoint is a process of its own, so that the
CPU that is counted is the deliverer's alone.
"""

import multiprocessing
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import event, func, select

from alerts.database.connection import Database
from alerts.database.migration import migrate
from alerts.database.tables import ChangeRow, DeliveryRow, IncidentRow
from alerts.deliveries.claims import DeliveryClaims
from alerts.deliveries.deliverer import Deliverer
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.http_client import HttpClient
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.deliveries.senders import channel_senders
from alerts.subscriptions.channel import WebhookChannel
from alerts.subscriptions.digest_rule import DigestRule
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.store import SubscriptionStore
from bench.alerts.endpoints import endpoint
from bench.line.report import machine
from bench.line.sampler import Sampler
from bench.line.threads import thread_clocks
from steadyline.clock import SystemClock
from steadyline.contracts.alert import Alert, AnomalyFacts, Region
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "var" / "bench-alerts-profile"
SENDERS, BOOKS = "deliver", "books"  # threads that talk to endpoints; the one that keeps the books
CAMERAS = 20
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class BenchWish:
    """A subscription to everything."""

    channel: WebhookChannel
    name: str = "bench"
    enabled: bool = True
    filter: SubscriptionFilter = field(default_factory=SubscriptionFilter)
    digest: DigestRule | None = None


def main(
    alerts: Annotated[int, typer.Option(min=100, help="Alerts that wait when it begins.")] = 2_000,
    rows: Annotated[int, typer.Option(min=1, max=40, help="Places in the code that are shown.")] = 20,
) -> None:
    """Deliver what waits to one healthy webhook, and print what a delivery costs by thread and by place."""
    configure_logs("bench", TelemetrySettings(log_level="warning"))
    console = PlainConsole(width=140)
    console.print(f"machine: {machine()}")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    database = Database(f"sqlite:///{HOME / 'alerts.db'}")
    migrate(database)
    with _endpoint_process() as url, closing(database):
        _fill(database, url, alerts)
        _deliver(database, alerts, rows, console)
    shutil.rmtree(HOME)


def _deliver(database: Database, alerts: int, rows: int, console: PlainConsole) -> None:
    statements, sampler = _counted(database), Sampler()
    client = HttpClient(EgressGuard(EgressRules.of(allow_private=True)))
    senders = channel_senders("bench", client, lambda address: None, None)
    deliverer = Deliverer(database, DeliveryClaims("bench"), senders, SystemClock())
    stop = threading.Event()
    books = threading.Thread(target=deliverer.run, args=(stop, lambda: None), name=BOOKS)
    sampler.install()
    began = time.monotonic()
    books.start()
    used: dict[str, float] = {}
    while (left := _left(database)) > 0 and books.is_alive():
        used = _by_role()
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - began
    stop.set()
    books.join()
    sampler.close()
    done = alerts - left
    console.print(f"{done} deliveries, {done / seconds:.0f} a second")
    costs = ", ".join(f"{role} {1000 * spent / done:.2f}" for role, spent in sorted(used.items()))
    console.print(f"CPU ms a delivery: {costs}")
    told = ", ".join(f"{word} {count / done:.2f}" for word, count in statements.most_common())
    console.print(f"statements a delivery: {told}")
    for kind, places in sampler.account().items():
        table = Table(title=f"{kind}, CPU µs a delivery", title_justify="left")
        table.add_column("µs", justify="right")
        table.add_column("place", overflow="fold")
        for place, spent in list(places.items())[:rows]:
            table.add_row(f"{1e6 * spent / done:.0f}", place)
        console.print(table)


def _left(database: Database) -> int:
    pending = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.state == "pending")
    with database.read() as session:
        return session.scalar(pending) or 0


def _by_role() -> dict[str, float]:
    """Return the CPU seconds of the deliverer's threads so far, by what they do."""
    names, found = {one.ident: one.name for one in threading.enumerate()}, defaultdict[str, float](float)
    for ident, seconds in thread_clocks().items():
        if (name := names.get(ident, "")) in (SENDERS, BOOKS):
            found[name] += seconds
    return found


def _counted(database: Database) -> Counter[str]:
    """Count the statements of the thread that keeps the books by their first word, commits included."""
    found = Counter[str]()

    def note(word: str) -> None:
        if threading.current_thread().name == BOOKS:
            found[word] += 1

    def executed(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        note(statement.split(maxsplit=1)[0].lower())

    event.listen(database.engine, "before_cursor_execute", executed)
    event.listen(database.engine, "commit", lambda _connection: note("commit"))
    return found


def _fill(database: Database, url: str, alerts: int) -> None:
    """Write alerts of as many incidents, over a few cameras, for one subscriber."""
    now, outbox = datetime.now(UTC), DeliveryOutbox(timedelta(hours=1))
    with database.transaction() as session:
        SubscriptionStore().create(session, BenchWish(WebhookChannel(url=url)), "bench", now)
    with database.transaction() as session:
        told = [
            (_change_row(alert, now), alert) for alert in (_alert(number, now) for number in range(alerts))
        ]
        session.add_all(_incident_row(alert) for _, alert in told)
        session.flush()
        session.add_all(row for row, _ in told)
        session.flush()
        outbox.enqueue(session, told)


def _alert(number: int, now: datetime) -> Alert:
    camera = f"camera-{number % CAMERAS}"
    facts = AnomalyFacts(
        first_frame=f"{camera}/1/1",
        last_frame=f"{camera}/1/9",
        frames=3,
        worst_frame=f"{camera}/1/7",
        score=1.5,
        threshold=1.0,
        p_value=0.001,
        model_version=3,
        region=Region(x=0.25, y=0.5),
    )
    return Alert(
        incident=f"{number:032x}",
        sequence=1,
        change="opened",
        at=now,
        why="3 of the last 5 frames are anomalous.",
        notify=True,
        kind="anomaly",
        severity="warning",
        state="open",
        summary=f"Anomalies on {camera}.",
        camera=camera,
        product="part",
        opened_at=now,
        anomaly=facts,
    )


def _incident_row(alert: Alert) -> IncidentRow:
    return IncidentRow(
        id=alert.incident,
        scope=f"scores/{alert.camera}",
        kind=alert.kind,
        camera=alert.camera,
        product=alert.product,
        severity=alert.severity,
        state=alert.state,
        sequence=alert.sequence,
        opened_at=alert.opened_at,
        changed_at=alert.at,
        content="{}",
    )


def _change_row(alert: Alert, now: datetime) -> ChangeRow:
    return ChangeRow(
        incident=alert.incident,
        sequence=alert.sequence,
        change=alert.change,
        at=alert.at,
        written_at=now,
        notify=True,
        content=alert.encode().decode(),
    )


@contextmanager
def _endpoint_process() -> Iterator[str]:
    """Yield the address of a healthy endpoint that runs as a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join(10)


def _serve(pipe: Connection) -> None:
    with endpoint("healthy") as one:
        pipe.send(one.url)
        pipe.recv()


if __name__ == "__main__":
    typer.run(main)
