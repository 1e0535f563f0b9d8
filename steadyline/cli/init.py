"""``steadyline init``: write the line file of a new line."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from steadyline.errors import InvalidConfiguration
from steadyline.grid import grid_option
from steadyline.grid_choice import grid_of
from steadyline.line import NEW_DETECTOR, load_line
from steadyline.own_line.new_line import (
    NewLine,
    default_name,
    enough_good_parts,
    line_yaml,
    new_cameras,
)
from steadyline.own_line.usb_cameras import usb_cameras
from steadyline.picture_folder import printable
from steadyline.replace_file import replace_file
from steadyline.terminal import PlainConsole

_CAMERA = (
    "Camera, NAME=SOURCE or a source alone: usb:0, rtsp://HOST/PATH, folder:PATH?fps=2&loop=true, video:PATH "
    "or synthetic:; repeatable; by default it is asked for."
)
_NORMALS = (
    "Folder with pictures of good parts, which the first model is trained on; by default it is asked for."
)
_LINE = "Name of the line; by default that of the folder of the line file."
_GRID = (
    "Height and width of the model's input, 512x208 for example; by default the proportions of the good "
    "parts and at most 65,536 pixels."
)
_DETECTOR = "Detector of the product, by default both halves in one graph."


def command(
    camera: Annotated[list[str] | None, typer.Option("--camera", help=_CAMERA)] = None,
    normals: Annotated[Path | None, typer.Option("--normals", help=_NORMALS)] = None,
    product: Annotated[str, typer.Option("--product", help="Name of what the cameras look at.")] = "part",
    line: Annotated[str | None, typer.Option("--line-name", help=_LINE)] = None,
    channels: Annotated[
        Literal["gray", "rgb"], typer.Option("--channels", help="What the model gets of a picture.")
    ] = "gray",
    grid: Annotated[str | None, typer.Option("--grid", help=_GRID)] = None,
    detector: Annotated[str, typer.Option("--detector", help=_DETECTOR)] = NEW_DETECTOR,
    out: Annotated[Path, typer.Option("--out", help="The line file to write.")] = Path("line.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a line file that is there.")] = False,
) -> None:
    """Write the line file of a new line, from its cameras and a folder of good parts.

    What no option says is asked for. `steadyline run` then runs the line.
    """
    console = PlainConsole(soft_wrap=True)
    if out.exists() and not force:
        raise InvalidConfiguration(
            f"{printable(out)} is there already: --force replaces it, --out names another"
        )
    base = out.resolve().parent
    cameras = new_cameras(camera or _ask_for_cameras(console), base)
    found = enough_good_parts(normals or _ask_for_normals())
    name = default_name(base) if line is None else line
    good, pictures = found.folder, list(found.files)
    input_grid = grid_of(pictures) if grid is None else grid_option("--grid", grid)
    new = NewLine(name, product, cameras, good, f"{{grid: {input_grid}, channels: {channels}}}", detector)
    _write(out, line_yaml(new, base))
    names = ", ".join(one.id for one in cameras)
    console.print(f"{printable(out)}: line {name}, product {product}, cameras: {names}")
    console.print(f"{len(pictures)} pictures of good parts in {printable(good)}")
    console.print(
        f"model: {detector} at {input_grid} pixels; before much depends on it, let python -m trainer plan "
        f"--data {shlex.quote(printable(good))} --out plan choose grid and detector"
    )
    elsewhere = "" if out == Path("line.yaml") else f" --line {shlex.quote(printable(out))}"
    console.print(f"next: steadyline run{elsewhere}")


def _write(out: Path, text: str) -> None:
    """Write the line file once it can be read; nothing is left of one that cannot."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        load_line(draft)
        replace_file(out, text.encode())
    finally:
        draft.unlink(missing_ok=True)


def _ask_for_cameras(console: PlainConsole) -> Sequence[str]:
    """Ask for cameras; raises InvalidConfiguration where nobody can answer."""
    _check_somebody_answers("--camera usb:0")
    found = usb_cameras()
    for one in found:
        console.print(f"found: usb:{one.device} {one.title}")
    first = f"usb:{found[0].device}" if found else "synthetic:"
    cameras = [typer.prompt("camera (usb:0, rtsp://…, folder:PATH, video:PATH, synthetic:)", default=first)]
    while more := typer.prompt("another camera (empty for none)", default="", show_default=False):
        cameras.append(more)
    return cameras


def _ask_for_normals() -> Path:
    _check_somebody_answers("--normals good/")
    return Path(typer.prompt("folder with pictures of good parts"))


def _check_somebody_answers(option: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidConfiguration(f"say it as {option}: there is no terminal to ask at")
