"""``steadyline dataset``: public sets of pictures as folders in MVTec layout."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from steadyline.datasets.elpv import import_elpv
from steadyline.terminal import PlainConsole

app = typer.Typer(help="Public sets of pictures, laid out as the trainer reads them.", no_args_is_help=True)

_SETS = (
    {
        "name": "elpv",
        "what": "solar cells, electroluminescence, 300 x 300 gray; mono: 410 / 178 / 313, "
        "poly: 598 / 322 / 402 (train good / test good / test defective)",
        "licence": "CC BY-NC-SA 4.0, non-commercial",
        "needs": "the package elpv-dataset (extra: demo)",
    },
)


class DatasetName(StrEnum):
    """Sets that can be imported."""

    elpv = "elpv"


class Cells(StrEnum):
    """Kinds of cells in ELPV."""

    mono = "mono"
    poly = "poly"


@app.command("list")
def list_sets(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the sets that can be imported."""
    if as_json:
        print(json.dumps(list(_SETS), indent=1))
        return
    table = Table("name", "what", "licence", "needs")
    for row in _SETS:
        table.add_row(row["name"], row["what"], row["licence"], row["needs"])
    PlainConsole().print(table)


@app.command("import")
def import_set(
    name: Annotated[DatasetName, typer.Argument(help="Name of the set.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the pictures to.")],
    cells: Annotated[Cells, typer.Option("--cells", help="Solar cells of ELPV that are taken.")] = Cells.mono,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Write a set to a folder as train/good, test/good and test/<defect>."""
    assert name is DatasetName.elpv
    found = import_elpv(out, cells.value)
    if as_json:
        print(json.dumps(asdict(found) | {"folder": str(found.folder)}))
    else:
        PlainConsole(soft_wrap=True).print(
            f"{found.folder}: {found.train_good} normals to train on, "
            f"{found.test_good} good and {found.test_defective} defective to test on"
        )
