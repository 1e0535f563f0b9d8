"""``steadyline bank``: what Redis holds of each product's bank, and making a lost one again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from steadyline.bank.entry import BankManifest
from steadyline.bank.redis import RedisBank
from steadyline.bank.rights import DUTIES, rights
from steadyline.errors import InvalidConfiguration
from steadyline.line import load_line
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import RedisSettings, read_settings
from steadyline.terminal import PlainConsole

app = typer.Typer(help="The banks of pseudo-anomalies in Redis.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ProductName = Annotated[str | None, typer.Argument(help="Product of the line; by default all of them.")]


@app.command()
def show(line: LineFile = Path("line.yaml"), as_json: AsJson = False) -> None:
    """Show each bank: version, entries, the share accepted of each transform, and which trainer serves it.

    Exits with 1 when a product has no bank (never made, or lost).
    """
    config = load_line(line)
    bank = RedisBank(read_settings(RedisSettings), config.line)
    try:
        found = {product: (bank.current(product), bank.holder(product)) for product in config.products}
    finally:
        bank.close()
    if as_json:
        print(json.dumps({"banks": {product: _row(*one) for product, one in found.items()}}, indent=2))
    else:
        _print_table(found)
    if any(manifest is None for manifest, _ in found.values()):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def acl(line: LineFile = Path("line.yaml"), as_json: AsJson = False) -> None:
    """Print what Redis' users need for the banks of a line: one that writes, one that reads, and no more.

    They are rules of Redis' ACL; names and passwords are yours. Redis 7 or newer knows them all.
    """
    duties = {duty: rights(load_line(line).line, duty) for duty in DUTIES}
    if as_json:
        print(json.dumps({"rights": duties}, indent=2))
        return
    console = PlainConsole(soft_wrap=True)
    console.print("# the trainer and `steadyline bank rebuild`")
    console.print(f"user NAME on >PASSWORD {duties['writer']}")
    console.print("# the alerts, `steadyline bank show` and `steadyline doctor`")
    console.print(f"user NAME on >PASSWORD {duties['reader']}")


@app.command()
def rebuild(product: ProductName = None, line: LineFile = Path("line.yaml")) -> None:
    """Make the banks, or one product's, again from the store and the seed, byte for byte."""
    config = load_line(line)
    if product is not None and product not in config.products:
        raise InvalidConfiguration(
            f"the line has no product {product!r}; it has {', '.join(sorted(config.products))}"
        )
    # A process of its own: the core knows nothing of the trainer and of what it needs (torch).
    command = [sys.executable, "-P", "-m", "trainer", "bank", "rebuild", "--line", str(line)]
    chosen = [] if product is None else ["--product", product]
    raise typer.Exit(subprocess.run([*command, *chosen], check=False).returncode)


def _row(manifest: BankManifest | None, holder: str | None) -> dict[str, object]:
    """Return one product's bank for machines."""
    bank = None if manifest is None else manifest.model_dump(mode="json")
    return {"bank": bank, "trainer": holder}


def _print_table(found: dict[str, tuple[BankManifest | None, str | None]]) -> None:
    table = Table()
    for column in ("product", "version", "entries", "accepted", "made", "digest", "trainer"):
        table.add_column(column)
    for product, (manifest, holder) in found.items():
        table.add_row(product, *_cells(manifest), holder or "–")
    PlainConsole(soft_wrap=True).print(table)


def _cells(manifest: BankManifest | None) -> tuple[str, ...]:
    if manifest is None:
        return ("none", "", "", "", "`steadyline bank rebuild` makes it")
    accepted = ", ".join(f"{name} {rate:.0%}" for name, rate in sorted(manifest.acceptance.items()))
    made = manifest.made_at.strftime("%Y-%m-%d %H:%M:%S")
    return (str(manifest.version), str(manifest.entries), accepted, made, manifest.digest[:12])
