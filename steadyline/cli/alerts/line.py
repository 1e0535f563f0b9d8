"""``steadyline alerts models``, ``bank``, ``accounting``, ``cameras`` and the rest of the line."""

from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, OutFile, connect, new_key, write_bytes
from steadyline.cli.alerts.output import print_answer, print_entries, say
from steadyline.cli.since import moment

app = typer.Typer()
models = typer.Typer(help="Models of the products, and orders about them.", no_args_is_help=True)
letters = typer.Typer(help="Messages that were refused.", no_args_is_help=True)
cameras = typer.Typer(help="Cameras of the line.", no_args_is_help=True)
app.add_typer(models, name="models")
app.add_typer(letters, name="dead-letters")
app.add_typer(cameras, name="cameras")

ProductName = Annotated[str, typer.Argument(help="Product of the line file.")]
LetterPartition = Annotated[int, typer.Argument(min=0, help="Partition of the dead letter.")]
LetterOffset = Annotated[int, typer.Argument(min=0, help="Offset of the dead letter.")]
Why = Annotated[str, typer.Option("--why", help="Reason, which the history of the product keeps.")]


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models of all products."""
    print_answer(connect().get("models").body, as_json)


@models.command("show")
def show_models(product: ProductName, as_json: AsJson = False) -> None:
    """Show the versions of one product and its history."""
    print_answer(connect().get("models", product).body, as_json)


@models.command("retrain")
def retrain(product: ProductName, why: Why = "", as_json: AsJson = False) -> None:
    """Order a training, and wait for the trainer's answer."""
    _order(product, "retrain", {"why": why}, as_json)


@models.command("promote")
def promote(
    product: ProductName,
    version: Annotated[int, typer.Argument(min=1, help="Version that is to go live.")],
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Order a version to go live, and wait for the trainer's answer."""
    _order(product, "promote", {"version": version, "why": why}, as_json)


@models.command("roll-back")
def roll_back(
    product: ProductName,
    version: Annotated[
        int | None, typer.Option("--to", min=1, help="Version to go back to; by default the one before.")
    ] = None,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Order an earlier version to be live again, and wait for the trainer's answer."""
    _order(product, "roll-back", {"version": version, "why": why}, as_json)


@models.command("orders")
def list_orders(
    product: ProductName,
    order: Annotated[
        str | None, typer.Option("--order", help="Id of one order; the default is to list all.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the orders about a product, newest first, with what became of them."""
    if order is None:
        print_answer(list(connect().entries(f"models/{product}/orders", limit)), as_json)
    else:
        print_answer(connect().get("models", product, "orders", order).body, as_json)


@app.command("bank")
def show_bank(product: ProductName, as_json: AsJson = False) -> None:
    """Show a product's bank: transforms, acceptance and detection rates."""
    print_answer(connect().get("bank", product).body, as_json)


@app.command("accounting")
def show_accounting(as_json: AsJson = False) -> None:
    """Show the account of the frames: captured, published, scored, refused, missing."""
    print_answer(connect().get("accounting").body, as_json)


@letters.command("list")
def list_letters(
    reason: Annotated[
        str | None, typer.Option("--reason", help="Reason word of the letters; by default any.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="Topic that they come from; by default any.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", help="Camera that they are of; by default any.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="How far back they were refused, 24h for example; by default any time."),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List refused messages with their reasons."""
    begin = moment(since)
    chosen = {"reason": reason, "topic": topic, "camera": camera}
    refused = None if begin is None else begin.isoformat()
    found = list(connect().entries("dead-letters", limit, **chosen, since=refused))
    print_entries(found, ("partition", "offset", "at", "reason", "topic", "camera", "frame"), as_json)


@letters.command("show")
def show_letter(partition: LetterPartition, offset: LetterOffset, as_json: AsJson = False) -> None:
    """Show one refused message, and whether it may be put on its topic again."""
    print_answer(connect().get("dead-letters", str(partition), str(offset)).body, as_json)


@letters.command("replay")
def replay_letter(
    partition: LetterPartition,
    offset: LetterOffset,
    again: Annotated[
        bool, typer.Option("--again", help="Also when it was replayed before: its frame is scored twice.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put one refused message on the topic again that it came from."""
    place = ("dead-letters", str(partition), str(offset), "replay")
    body = {"again": True} if again else {}
    print_answer(connect().post(*place, body=body, Idempotency_Key=new_key()).body, as_json)


@cameras.command("list")
def list_cameras(as_json: AsJson = False) -> None:
    """List the cameras with their state and their incidents that are not over."""
    print_answer(connect().get("cameras").body, as_json)


@cameras.command("thumbnail")
def fetch_thumbnail(
    camera: Annotated[str, typer.Argument(help="Camera of the line file.")], out: OutFile
) -> None:
    """Write the newest small picture of a camera to a file."""
    found = connect().download("cameras", camera, "thumbnail")
    write_bytes(out, found.data)
    say(f"{out}: {len(found.data)} bytes, {found.media_type}")


@app.command("products")
def list_products(as_json: AsJson = False) -> None:
    """List the products of the line."""
    print_answer(connect().get("products").body, as_json)


@app.command("users")
def list_users(as_json: AsJson = False) -> None:
    """List who may use the API."""
    print_answer(connect().get("users").body, as_json)


def _order(product: str, order: str, body: dict[str, str | int | None], as_json: bool) -> None:
    said = {name: value for name, value in body.items() if value not in (None, "")}
    print_answer(connect().post("models", product, order, body=said, Idempotency_Key=new_key()).body, as_json)
