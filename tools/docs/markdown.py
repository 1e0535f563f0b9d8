"""Markdown: tables, code, and docstrings as sentences."""

import re
from collections.abc import Iterable, Sequence

NOTICE = "<!-- Made from the code by `make docs`. Change the code, not this page. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; pipes in cells are escaped, line ends become spaces."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def code(text: object) -> str:
    """Return ``text`` as code."""
    return f"`{text}`"


def words(values: Iterable[str]) -> str:
    """Return values as code, separated by commas."""
    return ", ".join(code(value) for value in values)


def plain(text: str) -> str:
    """Return ``text`` so that what is in angle brackets is shown, except in code; ``<br>`` stays."""
    parts = text.split("`")
    return "`".join(part if n % 2 else re.sub(r"<(?!br>)", "&lt;", part) for n, part in enumerate(parts))


def prose(docstring: str) -> str:
    """Return a docstring's text with Markdown's single back-ticks, its paragraphs kept."""
    paragraphs = docstring.strip().replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _cell(text: str) -> str:
    return plain(" ".join(text.split())).replace("|", "\\|")
