"""``steadyline alerts chains``: who is told of what nobody takes."""

from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, connect, new_key, read_json_file
from steadyline.cli.alerts.output import print_entries, print_json, say

app = typer.Typer(help="Who is told of what nobody takes.", no_args_is_help=True)

ChainName = Annotated[str, typer.Argument(help="Id of the escalation chain.")]
ChainFile = Annotated[Path, typer.Argument(help="JSON file with name, filter and steps.")]
_FILE = "the file of the chain"


@app.command("list")
def list_chains(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List escalation chains."""
    found = list(connect().entries("escalation-chains", limit))
    for one in found:
        one["told after"] = ", ".join(step["after"] for step in one["steps"])
    print_entries(found, ("id", "name", "owner", "enabled", "told after"), as_json)


@app.command("add")
def add_chain(file: ChainFile) -> None:
    """Make an escalation chain; prints it."""
    body = read_json_file(file, _FILE)
    print_json(connect().post("escalation-chains", body=body, Idempotency_Key=new_key()).body)


@app.command("show")
def show_chain(chain: ChainName) -> None:
    """Show one escalation chain as JSON."""
    print_json(connect().get("escalation-chains", chain).body)


@app.command("replace")
def replace_chain(chain: ChainName, file: ChainFile) -> None:
    """Put what a file says in the place of a chain; what is on its way goes by the new steps."""
    body, client = read_json_file(file, _FILE), connect()
    etag = client.get("escalation-chains", chain).etag
    print_json(client.put("escalation-chains", chain, body=body, If_Match=etag or "").body)


@app.command("remove")
def remove_chain(chain: ChainName) -> None:
    """Delete an escalation chain; what is on its way escalates no further."""
    client = connect()
    etag = client.get("escalation-chains", chain).etag
    client.delete("escalation-chains", chain, If_Match=etag or "")
    say(f"{chain} is removed")
