"""``steadyline alerts subscriptions``: who is told of what."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, connect, new_key, read_json_file
from steadyline.cli.alerts.output import print_answer, print_entries, print_json, say
from steadyline.cli.since import moment
from steadyline.service import EXIT_FAILED

app = typer.Typer(help="Who is told of what.", no_args_is_help=True)

SubscriptionName = Annotated[str, typer.Argument(help="Id of the subscription.")]
SubscriptionFile = Annotated[Path, typer.Argument(help="JSON file with name, filter and channel.")]
_FILE = "the file of the subscription"


@app.command("list")
def list_subscriptions(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List subscriptions."""
    found = list(connect().entries("subscriptions", limit))
    print_entries(found, ("id", "name", "owner", "enabled", "channel"), as_json)


@app.command("show")
def show_subscription(subscription: SubscriptionName, as_json: AsJson = False) -> None:
    """Show one subscription, without its secret."""
    print_answer(connect().get("subscriptions", subscription).body, as_json)


@app.command("create")
def create_subscription(file: SubscriptionFile) -> None:
    """Subscribe; prints the subscription and its secret, which is shown this once."""
    body = read_json_file(file, _FILE)
    print_json(connect().post("subscriptions", body=body, Idempotency_Key=new_key()).body)


@app.command("replace")
def replace_subscription(subscription: SubscriptionName, file: SubscriptionFile) -> None:
    """Put what a file says in the place of a subscription, which keeps its id and its secret."""
    body, client = read_json_file(file, _FILE), connect()
    etag = client.get("subscriptions", subscription).etag
    print_json(client.put("subscriptions", subscription, body=body, If_Match=etag or "").body)


@app.command("delete")
def delete_subscription(subscription: SubscriptionName) -> None:
    """Delete a subscription, and what was still to be delivered for it."""
    client = connect()
    etag = client.get("subscriptions", subscription).etag
    client.delete("subscriptions", subscription, If_Match=etag or "")
    say(f"{subscription} is deleted")


@app.command("test")
def test_subscription(subscription: SubscriptionName) -> None:
    """Send a real sample now; exit status 1 when it did not arrive."""
    outcome = connect().post("subscriptions", subscription, "test").body
    print_json(outcome)
    if outcome["outcome"] != "delivered":
        raise typer.Exit(EXIT_FAILED)


@app.command("replay")
def replay_span(
    subscription: SubscriptionName,
    since: Annotated[str, typer.Option("--since", help="How far back the changes begin, 24h for example.")],
    until: Annotated[
        str | None, typer.Option("--until", help="How far back they end, 1h for example; by default now.")
    ] = None,
) -> None:
    """Send a subscription the changes of a span of time again."""
    begin, end = moment(since), moment(until, "--until") or datetime.now(UTC)
    assert begin is not None
    body = {"since": begin.isoformat(), "until": end.isoformat()}
    answer = connect().post("subscriptions", subscription, "replay", body=body, Idempotency_Key=new_key())
    say(f"{answer.body['deliveries']} deliveries are sent again")
