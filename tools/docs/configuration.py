"""``docs/configuration.md``: every environment variable, and the whole line file."""

from collections.abc import Iterator
from importlib import import_module

from pydantic import BaseModel

from producers.sources.address import SourceOptions
from steadyline.line import Line
from steadyline.settings import Settings
from tools.docs.code_search import environment_options, readers_of, settings_classes
from tools.docs.fields import Described, fields_of, parts_of
from tools.docs.markdown import NOTICE, code, prose, table, words
from tools.packages import SERVICES
from tools.setup.command import ROOT

EXAMPLE = "docs/line.yaml"

_VARIABLES = f"""
Read once, when a process starts. Every variable can also be given as `NAME_FILE`: the path of a file that
holds the value, for secrets that are mounted; giving both is an error. An unknown `STEADYLINE_*` variable
is an error, and so is a misspelt variable of ours. `python -m {SERVICES[0]} config` ({words(SERVICES[1:])})
prints what is in effect, secrets hidden. `steadyline` is the command-line tool; which of its verbs reads
what follows from what it talks to.
"""
_TELEMETRY = """
The OpenTelemetry SDK reads its own variables beside these, `OTEL_EXPORTER_OTLP_HEADERS` and
`OTEL_RESOURCE_ATTRIBUTES` for example.
"""
_LINE_FILE = """
One YAML that every service of a line reads. Whatever is wrong in it is said at the start, with file, line
and field. An unknown field is an error. Secrets are never in it. A duration is a number with `s`, `m`, `h`
or `d`: `24h`; a size of an attack may be written as `2/255`. A name has `a-z`, `0-9`, `.`, `_` and `-`, 64
characters at most.

Every field, at a value that a plant might choose ([line.yaml](line.yaml)):
"""
_SOURCES = """
A camera's `source` is `KIND:TARGET?OPTION=VALUE&OPTION=VALUE`. A relative path is taken from the line
file's folder. In an `rtsp://` address, options that are not ours stay part of the address.
"""


def page() -> str:
    """Return the page; raises Undescribed."""
    parts = [NOTICE, "# Configuration\n", "## Environment variables", _VARIABLES]
    parts += _variables()
    parts += ["\n## The line file", _LINE_FILE, _example()]
    parts += [_section(heading, model) for heading, model in sections(Line)]
    parts += ["\n## Sources of frames", _SOURCES, *_sources()]
    return "\n".join(parts)


def all_settings() -> list[type[Settings]]:
    """Return every settings class: the shared ones first, then each package's own."""
    found = [getattr(import_module(module), name) for name, module in settings_classes().items()]
    return sorted(found, key=lambda cls: cls.__module__ != Settings.__module__)


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield (path in the file, model) of a model and of everything below it."""
    yield path, model
    for name, part in parts_of(model):
        many = {"products": "products.NAME", "cameras": "cameras[]"}.get(name, name)
        yield from sections(part, f"{path}.{many}".lstrip("."))


def _variables() -> Iterator[str]:
    options = environment_options()
    rows = [(code(name), "path", "–", text) for name, text in sorted(options.items())]
    yield "### Options of the commands\nRead by: every command that takes `--line`.\n"
    yield table(("variable", "type", "default", "description"), rows)
    for cls in all_settings():
        yield f"### {cls.__name__}\n{prose(cls.__doc__ or '')} Read by: {words(readers_of(cls.__name__))}.\n"
        if cls.__name__ == "TelemetrySettings":
            yield _TELEMETRY.lstrip()
        prefix = str(cls.model_config.get("env_prefix", ""))
        head = ("variable", "type", "limits", "default", "description")
        rows_ = (_row(field, f"{prefix}{field.name}".upper()) for field in fields_of(cls))
        yield table(head, ((row[0], row[1].removesuffix(" or null"), *row[2:]) for row in rows_))


def _section(path: str, model: type[BaseModel]) -> str:
    heading = f"### {model.__name__}\n"
    where = f"At {code(path)}. " if path else ""
    head = ("field", "type", "limits", "default", "description")
    rows = (_row(field, field.name) for field in fields_of(model))
    return f"{heading}{where}{prose(model.__doc__ or '')}\n\n{table(head, rows)}"


def _row(field: Described, name: str) -> tuple[str, ...]:
    default = field.default or "**required**"
    return code(name), field.type, field.limits or "–", default, field.description


def _example() -> str:
    text = (ROOT / EXAMPLE).read_text(encoding="utf-8")
    return f"```yaml\n{text}```\n"


def _sources() -> Iterator[str]:
    kinds: list[type[SourceOptions]] = [SourceOptions, *SourceOptions.__subclasses__()]
    for cls in kinds:
        inherited = set(SourceOptions.model_fields) if cls is not SourceOptions else set()
        rows = [_row(field, field.name) for field in fields_of(cls) if field.name not in inherited]
        yield f"{prose(cls.__doc__ or '')}\n"
        yield table(("option", "type", "limits", "default", "description"), rows)
