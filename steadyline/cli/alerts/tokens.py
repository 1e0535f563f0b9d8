"""``steadyline alerts tokens``: tokens of the API."""

from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, connect, new_key
from steadyline.cli.alerts.output import print_answer, print_entries, say

app = typer.Typer(help="Tokens of the API.", no_args_is_help=True)


@app.command("list")
def list_tokens(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List tokens, without their secrets."""
    found = list(connect().entries("tokens", limit))
    print_entries(found, ("id", "name", "role", "created_at", "expires_at", "revoked_at"), as_json)


@app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Who is to have it.")],
    role: Annotated[str, typer.Option("--role", help="One of viewer, operator, engineer and admin.")],
    days: Annotated[int, typer.Option("--days", min=1, help="Days until it expires.")] = 90,
) -> None:
    """Make a token; prints its secret, which is shown this once."""
    body = {"name": name, "role": role, "days": days}
    say(str(connect().post("tokens", body=body, Idempotency_Key=new_key()).body["secret"]))


@app.command("revoke")
def revoke_token(token: Annotated[str, typer.Argument(help="Id of the token.")]) -> None:
    """Let a token in no more."""
    connect().delete("tokens", token)
    say(f"{token} is revoked")


@app.command("self")
def show_self(as_json: AsJson = False) -> None:
    """Show whose token this is, and what it may do."""
    print_answer(connect().get("tokens", "self").body, as_json)
