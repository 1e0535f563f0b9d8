"""The code keeps its own rules, and the rules bite."""

from collections.abc import Callable, Iterator

import pytest

from tests.packaging import rules
from tests.packaging.rules import RULES, Source, sources
from tools.packages import PACKAGES

Rule = Callable[[Source], Iterator[str]]

BAD: dict[Rule, tuple[str, str]] = {
    rules.file_size: ("scorer/x.py", '"""x."""\n' * 501),
    rules.function_size: ("scorer/x.py", "def long():\n" + "    x = 1\n" * 50),
    rules.parameters: ("scorer/x.py", "def f(self, a, b, c, d, *, e, f): ..."),
    rules.environment: ("scorer/x.py", "import os\nkey = os.environ['KEY']"),
    rules.vendors: ("trainer/x.py", "def f():\n    from tritonclient.grpc import aio"),
    rules.private_parts: ("steadyline/kafka/x.py", "def f(producer): producer._sender.force_close()"),
    rules.broad_except: ("scorer/x.py", "try:\n    f()\nexcept Exception:\n    pass"),
    rules.no_mark_up: ("scorer/x.py", "from rich.console import Console"),
    rules.no_pickle: ("trainer/x.py", "import torch\ntorch.load('x')"),
    rules.no_sleep_in_tests: ("tests/unit/test_x.py", "import time\ntime.sleep(1)"),
    rules.no_mock: ("tests/unit/test_x.py", "from unittest import mock"),
    rules.finished: ("scorer/x.py", "x = 1  # TO" + "DO"),
    rules.described: ("scorer/x.py", "x = 1"),
}


@pytest.fixture(scope="module")
def every_source() -> list[Source]:
    return sources()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule: Rule, every_source: list[Source]) -> None:
    assert [problem for source in every_source for problem in rule(source)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_bad_file_breaks_the_rule(rule: Rule) -> None:
    name, text = BAD[rule]
    assert list(rule(Source.parse(name, text)))


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (rules.environment, "scorer/cli.py", "import os\nkey = os.environ['KEY']"),
        (rules.vendors, "steadyline/triton.py", "import tritonclient.grpc"),
        (rules.private_parts, "steadyline/kafka/x.py", "def f(self): return self._sender.__class__"),
        (rules.private_parts, rules.CLIENT_PRIVATE, "def f(producer): producer._sender.force_close()"),
        (rules.broad_except, "scorer/x.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
        (rules.parameters, "scorer/x.py", "def f(self, a, b, c, d, *, e): ..."),
        (rules.described, "scorer/__init__.py", ""),
        (rules.no_mark_up, "steadyline/terminal.py", "from rich.console import Console"),
        (rules.no_mark_up, "scorer/x.py", "from rich import box\nfrom rich.table import Table"),
    ],
)
def test_what_is_allowed_passes(rule: Rule, name: str, text: str) -> None:
    assert list(rule(Source.parse(name, text))) == []


@pytest.mark.parametrize(
    "text", ["import rich", "from rich import print", "from rich.markup import escape", "TextColumn('{x}')"]
)
def test_every_way_to_mark_up_is_found(text: str) -> None:
    assert list(rules.no_mark_up(Source.parse("bench/line/x.py", text)))


def test_every_package_is_looked_at(every_source: list[Source]) -> None:
    assert {source.folder for source in every_source} >= {*PACKAGES, "tests", "tools"}
    assert len(every_source) > 100


def test_every_allowance_is_used(every_source: list[Source]) -> None:
    """An exception that nobody needs any more is removed from the table."""
    patterns = {*rules.ENVIRONMENT_READERS, *rules.CATCH_ALL}
    patterns |= {pattern for allowed in rules.VENDORS.values() for pattern in allowed}
    unused = sorted(
        pattern for pattern in patterns if not any(source.is_in((pattern,)) for source in every_source)
    )
    assert unused == []


def test_a_class_name_is_given_once_in_the_whole_tree(every_source: list[Source]) -> None:
    assert list(rules.class_names(every_source)) == []


def test_a_class_name_given_twice_is_found() -> None:
    twice = [Source.parse(f"{folder}/x.py", "class Frame: ...") for folder in ("scorer", "trainer")]
    assert list(rules.class_names(twice))
