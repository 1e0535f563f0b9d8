"""``python -m alerts run|config|migrate|first-token``."""

import threading
from collections.abc import Sequence
from datetime import timedelta

from alerts.api.first_token import first_admin_token
from alerts.app import build, open_database
from alerts.config import AlertsSettings, own_certificates
from alerts.database.migration import migrate as migrate_database
from alerts.outward import AlertsDependencies
from steadyline.clock import SystemClock
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.model_events import read_seal
from steadyline.line import load_line
from steadyline.service import LineFile, config_command, run_service, service_application
from steadyline.service import run as run_application
from steadyline.settings import (
    KafkaSettings,
    RedisSettings,
    SigningSettings,
    TelemetrySettings,
    read_settings,
)
from steadyline.telemetry.certificates import certificate_files, watched_certificates
from steadyline.telemetry.health import ServiceHealth
from steadyline.terminal import PlainConsole

app = service_application(
    "alerts", "Turns scores, camera statuses and model events into incidents that people subscribe to."
)


@app.command()
def run(line: LineFile) -> None:
    """Take what a line says into the database until a signal comes."""
    clock = SystemClock()
    config = load_line(line)
    seal = read_seal(config.line, read_settings(SigningSettings))
    redis = read_settings(RedisSettings)
    dependencies = AlertsDependencies(config, read_settings(AlertsSettings), seal, clock, redis)
    kafka, reporting = read_settings(KafkaSettings), read_settings(TelemetrySettings)
    files = certificate_files(kafka, redis, reporting) + own_certificates(dependencies.settings)

    def serve(stop: threading.Event, health: ServiceHealth) -> None:
        broker = KafkaBroker(kafka, f"alerts-{dependencies.settings.instance}")
        try:
            with watched_certificates(files), build(dependencies, broker, health) as alerts:
                alerts.run(stop)
        finally:
            broker.close()

    stop_within = timedelta(seconds=dependencies.settings.stop_seconds)
    run_service("alerts", reporting, clock, serve, stop_within)


app.command()(
    config_command(AlertsSettings, KafkaSettings, RedisSettings, SigningSettings, TelemetrySettings)
)


@app.command()
def migrate() -> None:
    """Bring the database to the tables of this release, as every process does at its start."""
    database = open_database(read_settings(AlertsSettings))
    try:
        before = migrate_database(database)
    finally:
        database.close()
    PlainConsole(soft_wrap=True).print(f"the database is up to date; it was at {before or 'nothing'}")


@app.command()
def first_token() -> None:
    """Make the first admin token of the API, and print it; with it all others are made."""
    database = open_database(read_settings(AlertsSettings))
    try:
        migrate_database(database)
        secret = first_admin_token(database, SystemClock())
    finally:
        database.close()
    PlainConsole(soft_wrap=True).print(secret)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
