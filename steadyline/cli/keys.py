"""``steadyline keys``: the keys by which readers know what the trainer wrote."""

from pathlib import Path
from typing import Annotated

import typer

from steadyline.settings import SigningSettings, read_settings
from steadyline.signing import PRIVATE, PUBLIC, read_signer, read_trusted, write_pair
from steadyline.terminal import PlainConsole

app = typer.Typer(help="The keys of a line: make a pair, show those that are set.", no_args_is_help=True)

_OUT = f"Folder to write {PRIVATE} (the trainer's alone) and {PUBLIC} (everybody's) to."


@app.command()
def new(out: Annotated[Path, typer.Option("--out", help=_OUT)]) -> None:
    """Make a pair of ed25519 keys; one that is there already is never replaced."""
    signer, console, folder = write_pair(out), PlainConsole(soft_wrap=True), out.resolve()
    console.print(f"key {signer.key_id}")
    console.print(f"the trainer:           STEADYLINE_SIGNING_KEY_FILE={folder / PRIVATE}")
    console.print(f"then all that read:    STEADYLINE_TRUSTED_KEYS_FILE={folder / PUBLIC}")
    console.print("A file of trusted keys may hold several, one below another: to change keys, trust both,")
    console.print(
        "start the trainer with the new one, run `steadyline models sign` with it, and drop the old"
    )
    console.print("one once the trainer has announced. Packages that are there already are signed alike.")


@app.command()
def show() -> None:
    """Show the names of the keys that are set, and no more of them."""
    settings, console = read_settings(SigningSettings), PlainConsole(soft_wrap=True)
    signer, trusted = read_signer(settings), read_trusted(settings)
    console.print(
        f"signs with   {'nothing: STEADYLINE_SIGNING_KEY is not set' if signer is None else signer.key_id}"
    )
    for name in trusted.keys or ["everybody: STEADYLINE_TRUSTED_KEYS is not set"]:
        console.print(f"trusts       {name}")
