"""``steadyline alerts feedback``: what people say of frames."""

from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, connect, new_key
from steadyline.cli.alerts.output import print_entries, say

app = typer.Typer(help="What people say of frames, which the trainer goes by.", no_args_is_help=True)


@app.command("list")
def list_feedback(
    camera: Annotated[
        str | None, typer.Option("--camera", help="Camera of the frames; by default any.")
    ] = None,
    product: Annotated[
        str | None, typer.Option("--product", help="Product of the frames; by default any.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="One of good, defect and withdrawn; by default any.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the newest label of each frame, newest first."""
    found = list(connect().entries("feedback", limit, camera=camera, product=product, label=label))
    print_entries(found, ("frame", "product", "label", "who", "at", "note"), as_json)


@app.command("label")
def label_frame(
    frame: Annotated[str, typer.Argument(help="Id of the frame, camera/epoch/sequence.")],
    label: Annotated[str, typer.Argument(help="One of good, defect and withdrawn.")],
    product: Annotated[
        str | None,
        typer.Option("--product", help="Product of the frame; by default the camera's in the line file."),
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", help="What to say with it; by default nothing.")
    ] = None,
) -> None:
    """Say that a frame is good, or a defect; withdrawn takes an earlier label back."""
    said = {"frame": frame, "label": label, "product": product, "note": note}
    body = {name: value for name, value in said.items() if value is not None}
    after = connect().post("feedback", body=body, Idempotency_Key=new_key()).body
    say(f"{after['frame']} is labelled {after['label']}")
