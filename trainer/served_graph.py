"""Reads an ONNX file as far as one must before Triton is given it: nothing of it may reach beyond the file.

A file of a model can name others (external data) and code that the server would have to load (operators of
other domains). Triton is given neither. The protobuf is walked here by hand, because the serving process does
not import onnx, and because what is refused must be found whatever order and repetition the bytes have.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from steadyline.errors import PackageRejected
from steadyline.inference import CERTIFIED_SCORE, HALVES

STANDARD_DOMAINS = (b"", b"ai.onnx")
DEEPEST = 32  # graphs within nodes within graphs; our exports have one level
LARGEST_NUMBER = (1 << 29) - 1
MAP, CERTIFIED, BOTH = b"map", CERTIFIED_SCORE.encode(), HALVES.encode()

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Field numbers of onnx.proto. A message of the table is walked into; others are passed over.
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _TRAINING = (
    "model",
    "graph",
    "node",
    "attribute",
    "tensor",
    "sparse",
    "training",
)
_CHILDREN: dict[tuple[str, int], str] = {
    (_MODEL, 7): _GRAPH,
    (_MODEL, 20): _TRAINING,
    (_TRAINING, 1): _GRAPH,
    (_TRAINING, 2): _GRAPH,
    (_GRAPH, 1): _NODE,
    (_GRAPH, 5): _TENSOR,
    (_GRAPH, 15): _SPARSE,
    (_NODE, 5): _ATTRIBUTE,
    (_ATTRIBUTE, 5): _TENSOR,
    (_ATTRIBUTE, 6): _GRAPH,
    (_ATTRIBUTE, 10): _TENSOR,
    (_ATTRIBUTE, 11): _GRAPH,
    (_ATTRIBUTE, 22): _SPARSE,
    (_ATTRIBUTE, 23): _SPARSE,
    (_SPARSE, 1): _TENSOR,
    (_SPARSE, 2): _TENSOR,
}
_FUNCTIONS, _NODE_DOMAIN, _EXTERNAL_DATA, _DATA_LOCATION, _OUTPUT = 25, 7, 13, 14, 12

Field = tuple[int, int | memoryview]


@dataclass(frozen=True, slots=True)
class GraphOutputs:
    """What a model file answers with beside the score: a map of (h, w), and perhaps a certified score and the
    scores of two halves.
    """

    map_shape: tuple[int, int]
    is_certified: bool
    has_halves: bool = False


@dataclass(slots=True)
class _GraphWalk:
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    certified: list[tuple[int, ...]] = field(default_factory=list)
    halves: list[tuple[int, ...]] = field(default_factory=list)


def graph_outputs(model: bytes) -> GraphOutputs:
    """Return what a model file answers with.

    Raises PackageRejected unless the file is an ONNX graph of standard operators alone whose numbers all lie
    in the file itself, with one output ``map`` of a fixed size, and at most one certified score and the two
    scores of halves per picture.
    """
    walk = _GraphWalk()
    try:
        _visit(_MODEL, memoryview(model), walk, 0)
    except (IndexError, ValueError) as error:
        raise PackageRejected(f"the model file is no ONNX graph: {error}") from error
    if len(walk.shapes) != 1 or len(walk.shapes[0]) != 2 or not all(0 < n <= 4096 for n in walk.shapes[0]):
        raise PackageRejected(f"the model file has not one output 'map' of (h, w): {walk.shapes}")
    if walk.certified not in ([], [()]):
        raise PackageRejected(
            f"the model file's output {CERTIFIED_SCORE!r} is not one score: {walk.certified}"
        )
    if walk.halves not in ([], [(2,)]):
        raise PackageRejected(f"the model file's output {HALVES!r} is not two scores: {walk.halves}")
    height, width = walk.shapes[0]
    return GraphOutputs((height, width), bool(walk.certified), bool(walk.halves))


def _visit(kind: str, data: memoryview, walk: _GraphWalk, depth: int) -> None:
    if depth > DEEPEST:
        raise PackageRejected(f"the model file nests more than {DEEPEST} messages")
    for number, value in _fields(data):
        _refuse_references(kind, number, value)
        if not isinstance(value, memoryview):
            continue
        child = _CHILDREN.get((kind, number))
        if child is not None:
            _visit(child, value, walk, depth + 1)
        elif (kind, number, depth) == (_GRAPH, _OUTPUT, 1):
            known = {MAP: walk.shapes, CERTIFIED: walk.certified, BOTH: walk.halves}
            found = known.get(_last(value, 1))
            if found is not None:
                found.append(_shape(value))


def _refuse_references(kind: str, number: int, value: int | memoryview) -> None:
    if kind == _NODE and number == _NODE_DOMAIN and _is_foreign(value):
        raise PackageRejected(f"the model file uses an operator of the domain {_shown(value)}")
    if kind == _MODEL and number == _FUNCTIONS:
        raise PackageRejected("the model file brings functions of its own")
    if kind == _TENSOR and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
        raise PackageRejected("the model file refers to numbers that lie in another file")


def _is_foreign(value: int | memoryview) -> bool:
    return not isinstance(value, memoryview) or bytes(value) not in STANDARD_DOMAINS


def _shown(value: int | memoryview) -> str:
    return repr(value if isinstance(value, int) else bytes(value[:40]))


def _shape(output: memoryview) -> tuple[int, ...]:
    """Return the sizes of an output behind the batch; 0 for one that is not fixed."""
    sizes: list[int] = []
    for kind in _messages(output, 2):
        for tensor in _messages(kind, 1):
            for shape in _messages(tensor, 2):
                for dimension in _messages(shape, 1):
                    found = [value for number, value in _fields(dimension) if number == 1]
                    sizes.append(found[-1] if found and isinstance(found[-1], int) else 0)
    return tuple(sizes[1:])


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _fields(data):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _last(data: memoryview, wanted: int) -> bytes:
    """Return the text of a field; of a repeated one the last, as protobuf does."""
    found = b""
    for value in _messages(data, wanted):
        found = bytes(value)
    return found


def _fields(data: memoryview) -> Iterator[Field]:
    """Yield number and value of each field; raises IndexError or ValueError when the bytes are none."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number > LARGEST_NUMBER:
            raise ValueError("a field whose number protobuf cuts off, and takes for that of another")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if number == 0 or length > len(data) - at:
            raise ValueError("a field that reaches beyond its message")
        if wire == _BYTES:
            yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
