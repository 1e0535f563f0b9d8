"""What the API answers, on a terminal: a table or lines, of which nothing is mark-up or a control code."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from steadyline.terminal import PlainConsole


def console() -> PlainConsole:
    """Return the console of every command: long lines stay whole, to be copied."""
    return PlainConsole(soft_wrap=True)


def say(*lines: str) -> None:
    """Print lines of text."""
    for line in lines:
        console().print(line)


def complain(line: str) -> None:
    """Print a line beside the results, which programs may read."""
    PlainConsole(soft_wrap=True, stderr=True).print(line)


def print_json(value: object) -> None:
    """Print JSON for programs: ASCII only, so that no terminal reads a command in it."""
    print(json.dumps(value, indent=2))


def print_entries(found: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Print a list as a table of ``columns``."""
    if as_json:
        print_json(found)
        return
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")  # whole, to be copied
    for one in found:
        table.add_row(*(cell_text(one.get(column)) for column in columns))
    console().print(table if found else "there is nothing to list")


def print_answer(value: Any, as_json: bool) -> None:
    """Print whatever the API answered: a list as a table of its plain fields, an object line by line."""
    if as_json:
        print_json(value)
    elif isinstance(value, Mapping) and isinstance(value.get("items"), list):
        print_answer(value["items"], as_json)
    elif isinstance(value, Mapping):
        say(*(f"{name}: {cell_text(field)}" for name, field in value.items()))
    elif isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        print_entries(value, tuple(dict.fromkeys(name for one in value for name in one)), as_json)
    else:
        say(cell_text(value))


def cell_text(value: Any) -> str:
    """Return a field as text; of a channel its kind, of another object the JSON."""
    if isinstance(value, Mapping) and "kind" in value:
        return str(value["kind"])
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(str(one) for one in value)
    if isinstance(value, Mapping | list):
        return json.dumps(value)
    return "" if value is None else str(value)
