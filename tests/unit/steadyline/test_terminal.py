"""What is printed is what was given: brackets stay, and no character of a message moves the cursor."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from steadyline.terminal import PlainConsole, styled, visible
from tests.support.terminal import LEAVES_ITS_PLACE

HOSTILE = "[bold]a[/nonsense] \x1b[31m\x07\r\n \u202e é :smile:"
SHOWN = "[bold]a[/nonsense] ·[31m··· · é :smile:"


def printed(*what: object) -> str:
    console = PlainConsole(file=io.StringIO(), width=200, soft_wrap=True)
    for one in what:
        console.print(one)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_string_is_printed_as_it_is_with_control_characters_shown() -> None:
    assert printed(HOSTILE) == SHOWN + "\n"


def test_the_cells_the_head_and_the_title_of_a_table_are_too() -> None:
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    assert printed(table).count(SHOWN) == 3


def test_styled_text_is_too() -> None:
    assert printed(styled((HOSTILE, "bold red"), ": ", HOSTILE)) == f"{SHOWN}: {SHOWN}\n"


def test_a_style_reaches_a_terminal_and_a_string_cannot_bring_one() -> None:
    console = PlainConsole(file=io.StringIO(), width=200, force_terminal=True, color_system="standard")
    console.print(styled(("failed", "red"), ": 5 of [red]7[/]"))
    console.print("5 of [red]7[/]")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "\x1b[31mfailed\x1b[0m: 5 of [red]7[/]\n5 of [red]7[/]\n"


@pytest.mark.parametrize("character", LEAVES_ITS_PLACE, ids=ascii)
def test_no_character_leaves_its_place(character: str) -> None:
    table = Table("head")
    table.add_row(f"a{character}b")
    assert printed(f"a{character}b", styled((f"a{character}b", "red"))) == "a·b\na·b\n"
    assert "a·b" in printed(table)


@given(st.text(max_size=40))
def test_no_text_raises_or_leaves_its_line(text: str) -> None:
    shown = printed(text)
    assert shown == visible(text) + "\n"
    assert all(character.isprintable() for character in shown[:-1])


@pytest.mark.parametrize("name", ["caf\udce9", "\ud800"])
def test_a_file_name_that_is_no_text_can_be_printed(name: str) -> None:
    printed(name).encode()
