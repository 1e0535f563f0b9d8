"""The rules of the code that a machine can hold: each takes one parsed file and names what is wrong."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from tools.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (*PACKAGES, "tests", "tools", "bench")

MOST_LINES = 500
MOST_FUNCTION_LINES = 50
MOST_PARAMETERS = 5

# library -> the files that may import it; its errors do not get out of them
VENDORS = {
    "apprise": ("alerts/deliveries/channels/apprise.py",),
    "av": ("producers/sources/stream.py",),
    "botocore": ("steadyline/store.py", "steadyline/kafka/client/msk_iam.py"),
    "fsspec": ("steadyline/store.py",),
    "grpc": ("steadyline/triton_edge.py",),
    "kafka": ("steadyline/kafka/*.py",),
    "kubernetes": ("trainer/cluster/client.py",),
    "onnx": ("trainer/jobs/export.py",),
    "opentelemetry": (
        "steadyline/telemetry/export.py",
        "steadyline/telemetry/otlp.py",
        "steadyline/telemetry/tracing.py",
    ),
    "paho": ("alerts/deliveries/channels/mqtt_session.py",),
    "prometheus_client": ("steadyline/telemetry/export.py",),
    "psutil": ("steadyline/servers/procfs.py",),
    "redis": ("steadyline/bank/redis.py",),
    "requests": ("steadyline/telemetry/otlp.py",),
    "s3fs": (),
    "scipy": ("trainer/evaluation/localisation.py", "trainer/learning/quantile_regression.py"),
    "sklearn": (),  # what figures are checked against; decision 15 says why it is not shipped
    "structlog": ("steadyline/telemetry/logs.py",),
    "timm": ("trainer/backbone/timm_features.py", "bench/robustness/anomalib_models.py"),
    "tritonclient": ("steadyline/triton.py",),
    "yaml": ("steadyline/yaml_lines.py",),
}

# The two files that use private parts of the Kafka client, the second those of its connections.
CLIENT_PRIVATE = "steadyline/kafka/client/private_api.py"
CLIENT_CONNECTIONS = "steadyline/kafka/client/private_net.py"

# Who reads the environment: command lines and settings; some hand their own on to their children.
ENVIRONMENT_READERS = (
    "*/cli.py",
    "steadyline/cli/*.py",
    "steadyline/settings.py",
    "steadyline/demo/finish.py",
    "steadyline/ops/backup/postgres.py",
    "steadyline/own_line/services.py",
)

# Where anything at all may be caught without being raised again: the outermost loops, and the places that
# hand an error over to another thread.
CATCH_ALL = (
    "producers/capturer.py",
    "scorer/batching.py",
    "scorer/frame_task.py",
    "steadyline/daemon_pool.py",
    "steadyline/kafka/guards/deadline.py",
    "steadyline/kafka/client/private_api.py",
    "steadyline/servers/triton_backend/model.py",
    "steadyline/service.py",
    "steadyline/triton.py",
)

# The one file that makes consoles and texts of rich, so that no string anywhere becomes mark-up; and what
# others may take from rich: nothing of it reads mark-up on a PlainConsole.
TERMINAL = "steadyline/terminal.py"
RICH = (
    "rich.box",
    "rich.console.JustifyMethod",
    "rich.console.RenderableType",
    "rich.live.Live",
    "rich.progress",
    "rich.table.Table",
)


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file; ``name`` is its path from the root."""

    name: str
    text: str
    tree: ast.Module

    @staticmethod
    def parse(name: str, text: str) -> "Source":
        return Source(name, text, ast.parse(text, name))

    def is_in(self, patterns: Sequence[str]) -> bool:
        return any(fnmatch(self.name, pattern) for pattern in patterns)

    @property
    def folder(self) -> str:
        return self.name.split("/", 1)[0]


@cache
def sources() -> list[Source]:
    """Return every Python file of the product, its tests and its tools; read once."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return [Source.parse(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in paths]


def imported(source: Source) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of every import, deferred ones included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def file_size(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > MOST_LINES:
        yield f"{source.name}: {lines} lines, {MOST_LINES} at most"


def function_size(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                yield f"{source.name}:{node.lineno}: {node.name} has {lines} lines"


def parameters(source: Source) -> Iterator[str]:
    """A command's options are its parameters, so command lines are free; so are tests and their fixtures."""
    if source.is_in(("*/cli.py", "steadyline/cli/*.py", "tests/*")):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            own = [name for name in names if name not in ("self", "cls")]
            count = len(own) + len(node.args.kwonlyargs)
            if count > MOST_PARAMETERS:
                yield f"{source.name}:{node.lineno}: {node.name} takes {count} parameters"


def environment(source: Source) -> Iterator[str]:
    if source.folder not in PACKAGES or source.is_in(ENVIRONMENT_READERS):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            yield f"{source.name}:{node.lineno}: reads the environment below the command line"


def vendors(source: Source) -> Iterator[str]:
    if source.folder not in PACKAGES:
        return
    for line, module in imported(source):
        vendor = module.split(".", 1)[0]
        if vendor in VENDORS and not source.is_in(VENDORS[vendor]):
            owners = ", ".join(VENDORS[vendor]) or "no file"
            yield f"{source.name}:{line}: imports {vendor}, which belongs to {owners}"


def private_parts(source: Source) -> Iterator[str]:
    """What is asked of the Kafka client beside its public interface stands in two files, with its reason."""
    if not source.is_in(VENDORS["kafka"]) or source.is_in((CLIENT_PRIVATE, CLIENT_CONNECTIONS)):
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute) or ast.unparse(node.value) in ("self", "cls"):
            continue
        if node.attr.startswith("_") and not node.attr.endswith("__"):
            yield f"{source.name}:{node.lineno}: uses {ast.unparse(node)}; {CLIENT_PRIVATE} is for that"


def broad_except(source: Source) -> Iterator[str]:
    if source.folder not in PACKAGES or source.is_in(CATCH_ALL):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
            raised = any(isinstance(child, ast.Raise) for child in ast.walk(node))
            if not raised:
                yield f"{source.name}:{node.lineno}: catches everything and goes on"


def no_mark_up(source: Source) -> Iterator[str]:
    """Nothing is printed through rich's own console: a path, a value or a message may hold ``[/x]``."""
    if source.folder not in (*PACKAGES, "bench") or source.name == TERMINAL:
        return
    for node in ast.walk(source.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "TextColumn":
            names = [] if any(word.arg == "markup" for word in node.keywords) else ["rich.TextColumn"]
        for name in names:
            if name.split(".", 1)[0] == "rich" and not name.startswith(RICH):
                yield f"{source.name}: imports {name}; print with PlainConsole of {TERMINAL}"


def no_pickle(source: Source) -> Iterator[str]:
    """The published backbone is a pickle of others; it is read as tensors only, which runs nothing in it."""
    for line, module in imported(source):
        if module.split(".", 1)[0] in ("pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"):
            yield f"{source.name}:{line}: imports {module}; nothing of ours is a pickle"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "torch.save"):
            tensors_only = any(word.arg == "weights_only" for word in node.keywords)
            if not (tensors_only and source.name == "trainer/backbone/weights.py"):
                yield f"{source.name}:{node.lineno}: {ast.unparse(node.func)} is a pickle; use safetensors"


def no_sleep_in_tests(source: Source) -> Iterator[str]:
    if source.folder != "tests":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "sleep":
            yield f"{source.name}:{node.lineno}: sleeps; wait with `eventually`"


def no_mock(source: Source) -> Iterator[str]:
    for line, module in imported(source):
        if module.startswith(("unittest.mock", "mock", "pytest_mock")):
            yield f"{source.name}:{line}: imports {module}; a stand-in is a small class of ours"


def finished(source: Source) -> Iterator[str]:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    for number, line in enumerate(source.text.splitlines(), 1):
        if any(word in line for word in words):
            yield f"{source.name}:{number}: is not finished"


def described(source: Source) -> Iterator[str]:
    if ast.get_docstring(source.tree) is None and source.tree.body:
        yield f"{source.name}: the module says nothing of itself"


def _is_broad(kind: ast.expr | None) -> bool:
    return kind is None or ast.unparse(kind) in ("Exception", "BaseException")


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    file_size,
    function_size,
    parameters,
    environment,
    vendors,
    private_parts,
    broad_except,
    no_mark_up,
    no_pickle,
    no_sleep_in_tests,
    no_mock,
    finished,
    described,
)


def class_names(sources: Sequence[Source]) -> Iterator[str]:
    """A class name is given once in the whole tree: it can be searched for, and read without its file."""
    places: dict[str, list[str]] = {}
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{source.name}:{node.lineno}")
    for name, found in sorted(places.items()):
        if len(found) > 1:
            yield f"the class {name} is defined {len(found)} times: {', '.join(found)}"
