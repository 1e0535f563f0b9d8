"""Which room may import which: the layers of each package, bottom first, and what does without torch."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.packaging.rules import Source
from tools.packages import PACKAGES

# package → its rooms, from bottom to top: a file imports from its own row or from one above it in this table.
# A room is a folder, or a file of the package itself; ``jobs.spec`` is a room of its own.
LAYERS: Mapping[str, Sequence[str]] = {
    "steadyline": (
        "errors clock digest terminal address child_process daemon_pool waited_time folder_lock replace_file",
        "grid",
        "contracts yaml_lines line_fields setting_text edge_files in_clear kafka_protection settings store "
        "formats picture picture_folder map_png score_scale inference",
        "grid_choice glow",
        "signing alert_rules part_pattern correction",
        "manifest station station_choice",
        "line backoff prepare package provenance probe parity datasets triton triton_config triton_edge "
        "telemetry model_folder",
        "exit_guard rule_set stop_signals",
        "service",
        "bank kafka",
        "ops servers",
        "own_line",
        "demo",
        "cli",
        "__main__",
    ),
    "producers": (
        "reasons config",
        "metrics",
        "sources accounting",
        "encoding camera_state delivery",
        "capturer",
        "camera",
        "service",
        "app",
        "cli",
        "__main__",
    ),
    "scorer": (
        "config metrics scoring model_slot verify",
        "frame_task evidence lag model_updater",
        "preprocess batching",
        "postprocess",
        "handler",
        "service",
        "app",
        "cli",
        "__main__",
    ),
    "alerts": (
        "config database_address evidence feedback_publisher metrics verify",
        "incidents",
        "database",
        "subscriptions windows",
        "deliveries intake",
        "escalation digests line_watch simulation retention control",
        "api",
        "service",
        "outward",
        "app",
        "cli",
        "__main__",
    ),
    "trainer": (
        "arrays metrics overrides progress served_graph sight",
        "triton_config",
        "config data",
        "jobs.spec",
        "lifecycle",
        "monitor",
        "control",
        "cluster",
        "backbone pseudo",
        "detector_protocol learning",
        "evaluation",
        "adversarial",
        "crops",
        "detectors",
        "fit",
        "jobs",
        "folder planner service",
        "app",
        "cli",
        "__main__",
    ),
}

# A service stands on the core's lower rooms only.
NOT_FOR_SERVICES = (
    "steadyline.ops",
    "steadyline.cli",
    "steadyline.demo",
    "steadyline.own_line",
    "steadyline.servers",
)

# The serving process and everything it decides with: none of it reaches torch, not even in a function.
WITHOUT_TORCH = (
    "trainer.control",
    "trainer.cluster",
    "trainer.monitor",
    "trainer.lifecycle",
    "trainer.data",
    "trainer.jobs.spec",
)
HEAVY = ("torch", "timm", "onnx", "onnxruntime", "scipy", "sklearn")


def module_of(name: str) -> str:
    """Return the dotted module of a path from the root."""
    return name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imports_of(source: Source, known: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, module) once for each import, deferred ones included; ours as the file they come from."""
    ours = frozenset(known)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield node.lineno, submodule if submodule in ours else node.module


def room_of(module: str) -> str | None:
    """Return the room of a module within its package; None for the package itself."""
    package, _, rest = module.partition(".")
    rooms = {room for row in LAYERS.get(package, ()) for room in row.split()}
    words = rest.split(".")
    return next((room for room in (".".join(words[:2]), words[0]) if room in rooms), None) if rest else None


def layer_of(module: str) -> int:
    """Return the row of a module's room in its package's table."""
    package, room = module.split(".", 1)[0], room_of(module)
    return next(row for row, rooms in enumerate(LAYERS[package]) if room in rooms.split())


def without_a_layer(sources: Sequence[Source]) -> list[str]:
    """Return the files of the product that stand in no room of the table."""
    files = [source.name for source in sources if source.folder in PACKAGES]
    return [name for name in files if "." in module_of(name) and room_of(module_of(name)) is None]


def upward_imports(source: Source, known: Iterable[str]) -> list[str]:
    """Return what a file imports from a room above its own."""
    own = module_of(source.name)
    if source.folder not in PACKAGES or room_of(own) is None:
        return []
    return [
        f"{source.name}:{line}: imports {module}, which lies above"
        for line, module in imports_of(source, known)
        if module.split(".", 1)[0] == source.folder
        and room_of(module) is not None
        and layer_of(module) > layer_of(own)
    ]


def service_reaches_up(source: Source, known: Iterable[str]) -> list[str]:
    """Return what a file of a service imports of the rooms that stand on the core."""
    if source.folder not in PACKAGES or source.folder == "steadyline":
        return []
    return [
        f"{source.name}:{line}: imports {module}, which is for operators"
        for line, module in imports_of(source, known)
        if module.startswith(tuple(f"{room}." for room in NOT_FOR_SERVICES)) or module in NOT_FOR_SERVICES
    ]


def reach_torch(sources: Sequence[Source]) -> list[str]:
    """Return the ways by which a room of WITHOUT_TORCH comes to a heavy library, over any number of files."""
    by_module = {module_of(source.name): source for source in sources if source.folder in PACKAGES}
    found = []
    for start in by_module:
        if start.startswith(WITHOUT_TORCH):
            way = _way_to_heavy(start, by_module)
            if way is not None:
                found.append(" → ".join(way))
    return found


def _way_to_heavy(start: str, by_module: Mapping[str, Source]) -> list[str] | None:
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for _, module in imports_of(by_module[way[-1]], by_module):
            if module.split(".", 1)[0] in HEAVY:
                return [*way, module]
            if module in by_module and module not in seen:
                seen.add(module)
                ways.append([*way, module])
    return None
