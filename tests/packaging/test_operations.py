"""docs/operations/: each kind of incident has its page, each page its kind, all with the same parts."""

from pathlib import Path
from typing import get_args

import pytest

from steadyline.contracts.alert import IncidentKind
from tests.packaging.rules import ROOT

FOLDER = ROOT / "docs" / "operations"
KINDS = get_args(IncidentKind)
PARTS = ("## Look", "## Do", "## Tune")


def test_each_kind_has_its_page_and_each_page_its_kind() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {*KINDS, "README"}


def test_the_index_names_each_page_once() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [index.count(f"({kind}.md)") for kind in KINDS] == [1] * len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_says_what_it_means_where_to_look_what_to_do_and_what_tunes_it(kind: str) -> None:
    text = page_of(kind).read_text(encoding="utf-8")
    assert text.startswith(f"# `{kind}`: ")
    assert [part for part in PARTS if part not in text] == []
    assert len(text.split("## Look")[0].split("\n\n")[1]) > 80


def page_of(kind: str) -> Path:
    return FOLDER / f"{kind}.md"
