"""``steadyline alerts``: all that the alerts' API does, over that API."""

import typer

from steadyline.cli.alerts import (
    audit,
    chains,
    deliveries,
    events,
    feedback,
    incidents,
    line,
    rules,
    subscriptions,
    tokens,
    windows,
)

app = typer.Typer(help="Incidents of a line: see them, take them, and who is told.", no_args_is_help=True)
app.add_typer(incidents.app)
app.add_typer(events.app)
app.add_typer(audit.app)
app.add_typer(rules.app)
app.add_typer(line.app)
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(chains.app, name="chains")
app.add_typer(windows.app, name="windows")
app.command("why")(windows.why)
app.add_typer(feedback.app, name="feedback")
app.add_typer(tokens.app, name="tokens")
