"""What the pages say is there is there: links, commands, variables, metrics, paths, tests."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.packaging import prose
from tests.packaging.prose import CHECKS, Page, pages
from tests.packaging.rules import ROOT

Check = Callable[[Page], Iterator[str]]

BAD: list[tuple[Check, str, str]] = [
    (prose.links, "[x](nowhere.md)", "nowhere.md leads nowhere"),
    (prose.links, "[x](metrics.md#nothing)", "leads to no heading"),
    (prose.commands, "`make nothing`", "the Makefile has no nothing"),
    (prose.commands, "`make demo NOTHING=1`", "the Makefile has no NOTHING"),
    (prose.commands, "```\nmake nothing   # says so\n```", "the Makefile has no nothing"),
    (prose.commands, "`steadyline nothing`", "no verb nothing"),
    (prose.commands, "`steadyline models nothing`", "no nothing among"),
    (prose.commands, "`steadyline models list|nothing`", "no nothing among"),
    (prose.commands, "`steadyline doctor --nothing`", "no option --nothing"),
    (prose.commands, "`python -m scorer nothing`", "no nothing among"),
    (prose.commands, "`.venv/bin/steadyline nothing`", "no verb nothing"),
    (prose.commands, "`.venv/bin/python -m scorer nothing`", "no nothing among"),
    (prose.commands, "`kubectl -n a exec deploy/b -- python -m steadyline nothing`", "no verb nothing"),
    (prose.commands, "`kubectl -n a exec deploy/b -- python -m alerts nothing`", "no nothing among"),
    (prose.commands, "`python -m trainer fit --data X --nothing`", "no option --nothing"),
    (prose.commands, "`python -m tools.nothing`", "no module tools.nothing"),
    (prose.variables, "set SCORER_NOTHING", "nothing reads SCORER_NOTHING"),
    (prose.metrics, "`scorer_nothing_total > 0`", "no metric is called scorer_nothing_total"),
    (prose.paths, "`steadyline/nothing.py`", "there is no steadyline/nothing.py"),
    (prose.tests, "`test_that_nothing_is_there`", "there is no test test_that_nothing_is_there"),
]
GOOD = """
[a](metrics.md#scorer) [b](https://example.org/nothing) `make demo DATA=folder KEEP=1` `make test`
`steadyline models promote cell 3 --why X` `steadyline doctor` `python -m scorer run|config`
`SCORER_MAX_BATCH` `SCORER_*` `REDIS_URL_FILE` `scorer_swaps_total` `scorer_batch_frames_bucket` `scorer_*`
`steadyline/contracts/` `steadyline/ops*` `models/cell/1/card.json`
`test_what_the_pages_say_is_there`
"""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_the_pages_say_is_there(check: Check) -> None:
    assert [problem for page in pages() for problem in check(page)] == []


@pytest.mark.parametrize(("check", "text", "problem"), BAD, ids=[text for _, text, _ in BAD])
def test_a_page_that_names_what_is_not_there_is_found(check: Check, text: str, problem: str) -> None:
    found = list(check(Page("docs/page.md", text)))
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_there_passes(check: Check) -> None:
    assert list(check(Page("docs/page.md", GOOD))) == []


def test_every_page_is_looked_at() -> None:
    names = {page.name for page in pages()}
    assert {"README.md", "docs/architecture.md", "docs/contracts.md", "scorer/README.md"} <= names
    assert any(name.startswith("docs/decisions/") for name in names)


def test_the_glossary_has_the_words_that_everything_is_named_by_once_and_in_order() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| ", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)[1:]
    assert rows == sorted(rows)
    assert len(set(rows)) == len(rows)
    ten = {"frame", "patch", "embedding", "bank", "score", "threshold", "alert", "model", "version", "camera"}
    assert ten | {"epoch", "sequence", "verdict", "p-value", "pseudo-anomaly", "evidence", "gate"} <= set(
        rows
    )
