"""The store of a line is opened as the line says: ``store_in_clear`` is passed on wherever it is opened."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("steadyline", "producers", "scorer", "trainer", "alerts", "console")


def stores_of_lines(tree: ast.AST) -> Iterator[ast.Call]:
    """Return the calls that open a store by the address in a line."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    for call in calls:
        match call.func, call.args[0]:
            case ast.Name(id="Store"), ast.Attribute(attr="store"):
                yield call


def is_told(call: ast.Call) -> bool:
    return "store_in_clear" in ast.unparse(call)


def test_every_opening_of_a_line_s_store_says_whether_it_may_be_in_clear() -> None:
    calls = [
        (path.relative_to(ROOT), call)
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        for call in stores_of_lines(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(calls) >= 8, "the search finds the openings that are known"
    assert [f"{path}:{call.lineno}" for path, call in calls if not is_told(call)] == []


def test_the_search_finds_an_opening_that_does_not_say_it() -> None:
    (call,) = stores_of_lines(ast.parse("Store(config.store)"))
    assert not is_told(call)
