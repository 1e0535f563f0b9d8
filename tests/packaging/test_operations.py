"""docs/operations/: each kind of incident and each rule of Prometheus has its page; all are alike."""

import re
from pathlib import Path
from typing import get_args

import pytest

from steadyline.contracts.alert import IncidentKind
from tests.packaging.rules import ROOT

FOLDER = ROOT / "docs" / "operations"
KINDS = get_args(IncidentKind)
RULES = ROOT / "deploy" / "rules"
OF_RULES = {
    page
    for path in RULES.glob("*.yaml")
    for page in re.findall(r"docs/operations/(\w+)\.md", path.read_text(encoding="utf-8"))
}
PAGES = sorted({*KINDS, *OF_RULES})
PARTS = ("## Look", "## Do", "## Tune")


def test_each_kind_and_each_rule_has_its_page_and_each_page_one_of_them() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {*PAGES, "README"}


def test_the_index_names_each_page_once() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [page for page in PAGES if index.count(f"({page}.md)") != 1] == []


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_says_what_it_means_where_to_look_what_to_do_and_what_tunes_it(kind: str) -> None:
    text = page_of(kind).read_text(encoding="utf-8")
    assert text.startswith(f"# `{kind}`: ")
    assert [part for part in PARTS if part not in text] == []
    assert len(text.split("## Look")[0].split("\n\n")[1]) > 80


def page_of(kind: str) -> Path:
    return FOLDER / f"{kind}.md"
