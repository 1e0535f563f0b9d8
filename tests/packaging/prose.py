"""What can be checked of a Markdown page: links, commands, variables, metrics, paths and tests it names."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from steadyline.cli.app import VERBS
from steadyline.settings import variable_names
from steadyline.telemetry.instrument import all_instruments
from tests.packaging.rules import ROOT, sources
from tools.docs.code_search import environment_options
from tools.docs.configuration import all_settings
from tools.docs.metrics import metric_groups
from tools.packages import PACKAGES, PLANNED, SERVICES

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_VARIABLE = re.compile(rf"\b(?:KAFKA|REDIS|TRITON|{'|'.join(PACKAGES).upper()})_[A-Z0-9_]*[A-Z0-9]\b")
_METRIC = re.compile(rf"`((?:loop|{'|'.join(SERVICES)})_[a-z_]*[a-z])\b(?![.(])")
_FOLDERS = "|".join((*PACKAGES, *PLANNED, "tests", "tools", "bench", "docs", "requirements"))
_PATH = re.compile(rf"(?:{_FOLDERS})/[\w./*-]*")
_TEST = re.compile(r"test_[a-z0-9_]{8,}")
_PARTS = ("_bucket", "_sum", "_count")  # of a histogram


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown page; ``name`` is its path from the root."""

    name: str
    text: str

    @property
    def code(self) -> list[str]:
        """Everything that is code: inline spans, and the lines of blocks without a language."""
        blocks = [block for block in _FENCE.findall(self.text) if block.startswith("```\n")]
        lines = [line.split(" # ")[0].strip() for block in blocks for line in block.splitlines()[1:-1]]
        return [*_SPAN.findall(_FENCE.sub("", self.text)), *(line for line in lines if line)]


def pages() -> list[Page]:
    """Return every page of the project."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[a-z]*/*.md")]
    return [
        Page(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in sorted(set(paths))
    ]


def links(page: Page) -> Iterator[str]:
    """A relative link leads to a file or folder, and its anchor to a heading."""
    for target in _LINK.findall(_FENCE.sub("", page.text)):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (ROOT / page.name).parent / path if path else ROOT / page.name
        if not found.exists():
            yield f"{page.name}: the link {target} leads nowhere"
        elif anchor and anchor not in _anchors(found.read_text(encoding="utf-8")):
            yield f"{page.name}: the link {target} leads to no heading"


def commands(page: Page) -> Iterator[str]:
    """Targets of make, verbs, options and modules exist."""
    for line in page.code:
        for problem in _command_problems(line):
            yield f"{page.name}: `{line}`: {problem}"


def variables(page: Page) -> Iterator[str]:
    """An environment variable is read by something."""
    for name in sorted(set(_VARIABLE.findall(page.text)) - _known_variables()):
        yield f"{page.name}: nothing reads {name}"


def metrics(page: Page) -> Iterator[str]:
    """A metric is declared."""
    for name in sorted(set(_METRIC.findall(page.text)) - _known_metrics()):
        yield f"{page.name}: no metric is called {name}"


def paths(page: Page) -> Iterator[str]:
    """A file or folder of the project is there."""
    for span in page.code:
        if _PATH.fullmatch(span) and not list(ROOT.glob(span.rstrip("/"))):
            yield f"{page.name}: there is no {span}"


def tests(page: Page) -> Iterator[str]:
    """A test is there."""
    for span in page.code:
        if _TEST.fullmatch(span) and span not in _known_tests():
            yield f"{page.name}: there is no test {span}"


CHECKS: tuple[Callable[[Page], Iterator[str]], ...] = (links, commands, variables, metrics, paths, tests)


def _anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = (head.strip().lower() for head in _HEADING.findall(_FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads}


def _command_problems(line: str) -> Iterator[str]:
    if line.startswith("kubectl "):
        line = line.partition(" -- ")[2]
    match line.removeprefix(".venv/bin/").split():
        case ["make", *words]:
            yield from _make_problems(words)
        case ["steadyline", *words] | ["python", "-m", "steadyline", *words] if words:
            yield from _verb_problems(words)
        case ["python" | "python3", "-m", module, *words] if module in PACKAGES:
            yield from _option_problems(_service_command(module), shlex.split(" ".join(words)))
        case ["python" | "python3", "-m", module, *_] if module.split(".")[0] in ("tools", "bench"):
            place = ROOT.joinpath(*module.split("."))
            if not (place.with_suffix(".py").exists() or (place / "__main__.py").exists()):
                yield f"there is no module {module}"


def _make_problems(words: list[str]) -> Iterator[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{re.escape(name)} \?=" if is_variable else rf"^{re.escape(name)}:"
        if not word.startswith("-") and not re.search(pattern, text, re.MULTILINE):
            yield f"the Makefile has no {name}"


def _verb_problems(words: list[str]) -> Iterator[str]:
    for verb in words[0].split("|"):
        if verb not in VERBS:
            yield f"steadyline has no verb {verb}"
        elif not any((ROOT / "steadyline" / "cli" / place).exists() for place in (f"{verb}.py", verb)):
            yield f"the verb {verb} is not there"
        else:
            yield from _option_problems(_verb_command(verb), words[1:])


def _option_problems(command: object, words: list[str]) -> Iterator[str]:
    """Follow ``words`` through a command and its sub-commands; ``a|b`` stands for either."""
    if isinstance(command, TyperGroup):
        for name in words[0].split("|") if words and not words[0].startswith("-") else ():
            if name not in command.commands:
                yield f"there is no {name} among {', '.join(sorted(command.commands))}"
            else:
                yield from _option_problems(command.commands[name], words[1:])
        return
    assert isinstance(command, TyperCommand)
    options = [parameter for parameter in command.params if isinstance(parameter, TyperOption)]
    known = {"--help", *(name for option in options for name in (*option.opts, *option.secondary_opts))}
    for word in words:
        option = word.strip("[]").split("=")[0]
        if option.startswith("--") and option not in known:
            yield f"there is no option {option}"


@cache
def _verb_command(verb: str) -> object:
    module = import_module(f"steadyline.cli.{verb}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    alone = typer.Typer()
    alone.command(name=verb)(module.command)
    return typer.main.get_command(alone)


@cache
def _service_command(package: str) -> object:
    return typer.main.get_command(import_module(f"{package}.cli").app)


@cache
def _known_variables() -> frozenset[str]:
    # The last one is of the shell that runs what `steadyline topics acls` prints.
    names = {*variable_names(all_settings()), *environment_options(), "KAFKA_ACLS"}
    return frozenset(names | {f"{name}_FILE" for name in names})


@cache
def _known_metrics() -> frozenset[str]:
    list(metric_groups())
    names = {instrument.name for instrument in all_instruments()}
    return frozenset(names | {f"{name}{part}" for name in names for part in _PARTS})


@cache
def _known_tests() -> frozenset[str]:
    found = re.compile(r"^ *def (test_\w+)", re.MULTILINE)
    return frozenset(
        name for source in sources() if source.folder == "tests" for name in found.findall(source.text)
    )
