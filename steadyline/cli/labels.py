"""``steadyline labels``: the known defects and judged normals that people have named."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from steadyline.contracts.kept_labels import KeptLabel
from steadyline.errors import InvalidConfiguration
from steadyline.line import load_line
from steadyline.ops.labels import ProductLabels, kept_labels
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import SigningSettings, read_settings
from steadyline.signing import read_trusted
from steadyline.store import Store
from steadyline.terminal import PlainConsole

app = typer.Typer(
    help="What people have said of frames: known defects, judged normals.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ProductName = Annotated[str | None, typer.Option("--product", help="Product; by default all of the line.")]
OfLabel = Annotated[
    Literal["good", "defect"] | None, typer.Option("--label", help="Label, good or defect; by default both.")
]

# What the column says of a label without a picture.
_WITHOUT = {
    "unknown": "no picture was kept",
    "gone": "gone from the store",
    "changed": "not the picture that was scored",
    "unreadable": "cannot be read",
}


@app.callback()
def _group() -> None:
    """What people have said of frames: known defects, judged normals."""


@app.command("list")
def list_labels(
    line: LineFile = Path("line.yaml"),
    product: ProductName = None,
    label: OfLabel = None,
    as_json: AsJson = False,
) -> None:
    """List the labelled frames that the trainer keeps, oldest first, and where their pictures are.

    Exits with 1 when a list is there that cannot be believed.
    """
    config = load_line(line)
    if product is not None and product not in config.products:
        raise InvalidConfiguration(
            f"the line has no product {product!r}; it has {', '.join(sorted(config.products))}"
        )
    store, trusted = (
        Store(config.store, may_be_clear=config.store_in_clear),
        read_trusted(read_settings(SigningSettings)),
    )
    names = [product] if product is not None else list(config.products)
    found = [kept_labels(store, config.line, name, trusted) for name in names]
    if as_json:
        print(json.dumps({"products": {one.product: _rows(one, label) for one in found}}, indent=2))
    else:
        _print(found, label)
    if any(one.problem for one in found):
        raise typer.Exit(EXIT_FAILED)


def _chosen(one: ProductLabels, label: str | None) -> list[KeptLabel]:
    return [row for row in one.labels if label in (None, row.label)]


def _rows(one: ProductLabels, label: str | None) -> dict[str, object]:
    """Return one product's labels for machines."""
    return {
        "defects": one.count("defect"),
        "goods": one.count("good"),
        "without_picture": one.without_picture,
        "problem": one.problem,
        "labels": [row.model_dump(mode="json") for row in _chosen(one, label)],
    }


def _print(found: list[ProductLabels], label: str | None) -> None:
    console, table = PlainConsole(soft_wrap=True), Table()
    for column in ("product", "frame", "label", "who", "said", "model", "picture"):
        table.add_column(column)
    for one in found:
        for row in _chosen(one, label):
            table.add_row(one.product, *_cells(row))
    if table.row_count:
        console.print(table)
    for one in found:
        console.print(
            f"{one.product}: {one.count('defect')} known defects, {one.count('good')} judged normals, "
            f"{one.without_picture} without a picture"
            + ("" if one.problem is None else f"; the list is not believed: {one.problem}")
        )


def _cells(row: KeptLabel) -> tuple[str, ...]:
    model = "–" if row.model_version is None else str(row.model_version)
    picture = row.picture or _WITHOUT[row.without or "unknown"]
    return (row.frame, row.label, row.who, row.at.strftime("%Y-%m-%d %H:%M:%S"), model, picture)
