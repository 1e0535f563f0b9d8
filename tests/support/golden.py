"""Golden messages: how they lie on disk, and the checker that every one of them must pass."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steadyline.contracts.catalogue import KINDS, MessageKind, Wire
from steadyline.contracts.headers import Headers
from steadyline.errors import PoisonMessage

EXAMPLES = Path(__file__).resolve().parents[2] / "steadyline/contracts/examples"
HEADERS = ".headers.json"


@dataclass(frozen=True, slots=True)
class Golden:
    """One example: ``<kind>/<version>/<name>.headers.json`` and the value beside it."""

    kind: MessageKind
    name: str
    value: bytes
    headers: Headers


def read_golden(headers_path: Path) -> Golden:
    """Return an example; raises ValueError when its files are not what they must be."""
    folder, name = headers_path.parent, headers_path.name.removesuffix(HEADERS)
    values = [path for path in folder.glob(f"{name}.*") if not path.name.endswith(HEADERS)]
    if len(values) != 1:
        raise ValueError(f"{headers_path}: {len(values)} values, one is needed")
    kind = next((kind for kind in KINDS if kind.name == folder.parent.name), None)
    if kind is None or folder.name != "v1":
        raise ValueError(f"{headers_path}: {folder.parent.name}/{folder.name} is no kind of message")
    rows = json.loads(headers_path.read_text(encoding="utf-8"))
    headers = tuple((str(name), _bytes(value)) for name, value in rows)
    return Golden(kind, name, values[0].read_bytes(), headers)


def goldens(root: Path = EXAMPLES) -> Iterator[Golden]:
    """Yield every example below ``root``; raises ValueError on a file that belongs to none."""
    paths = sorted(root.rglob(f"*{HEADERS}"))
    used = {path for path in paths}
    for path in paths:
        yield read_golden(path)
        used |= set(path.parent.glob(f"{path.name.removesuffix(HEADERS)}.*"))
    stray = sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path not in used
    )
    if stray:
        raise ValueError(f"files that belong to no example: {', '.join(stray)}")


def problems(golden: Golden) -> list[str]:
    """Return how an example fails: it must decode, and encode to the very same bytes."""
    try:
        wire: Wire = golden.kind.reencode(golden.value, golden.headers)
    except PoisonMessage as error:
        return [f"{golden.kind.name}/{golden.name} is refused: {error.reason}: {error}"]
    found = []
    if wire[0] != golden.value:
        found.append(f"{golden.kind.name}/{golden.name}: the value changes")
    if wire[1] != golden.headers:
        found.append(f"{golden.kind.name}/{golden.name}: the headers change")
    return found


def _bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
