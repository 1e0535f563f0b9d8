"""Whether a configuration of Triton is one that the trainer could have written, value by value."""

from collections.abc import Iterator, Sequence
from typing import Any

from steadyline.grid import Grid
from steadyline.inference import CERTIFIED_SCORE, HALVES
from steadyline.triton import parse_config
from steadyline.triton_config import (
    MOST_BATCH,
    MOST_INSTANCES,
    MOST_THREADS,
    ServedShape,
    Serving,
    config_pbtxt,
)

_LEAST_SIDE, _MOST_SIDE = 8, 4096  # of a frame, as a model's card allows
_MOST_TOLD = 5


def unlike_ours(config: Any, product: str) -> Iterator[str]:
    """Say what of a configuration (Triton's own ModelConfig) the trainer never writes, the first few things.

    The values that differ from model to model are read out of it, each within its limits. From them the
    configuration is written as the trainer writes it; whatever is not in there is not ours.
    """
    ours = parse_config(config_pbtxt(_shape(config, product), _serving(config)))
    if ours == config:
        return
    have, want = dict(_leaves(config)), dict(_leaves(ours))
    strange = [f"{place} {value[:60]}" for place, value in have.items() if want.get(place) != value]
    missing = [f"no {place}" for place in want if place not in have]
    yield from (strange + missing or ["a field that Triton does not know"])[:_MOST_TOLD]


def _shape(config: Any, product: str) -> ServedShape:
    """Return what the configuration says of the model, as far as it may say it."""
    above, beside, channels = _numbers([one.dims for one in config.input], 3)
    height, width = _numbers([one.dims for one in config.output if one.name == "map"], 2)
    return ServedShape(
        product,
        Grid(_within(above, _LEAST_SIDE, _MOST_SIDE), _within(beside, _LEAST_SIDE, _MOST_SIDE)),
        channels if channels in (1, 3) else 1,
        _within(height, 1, _MOST_SIDE),
        _within(width, 1, _MOST_SIDE),
        any(one.name == CERTIFIED_SCORE for one in config.output),
        any(one.name == HALVES for one in config.output),
    )


def _serving(config: Any) -> Serving:
    """Return how the configuration lets Triton run the model, as far as it may."""
    accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
    is_gpu = len(accelerators) > 0
    precision = accelerators[0].parameters.get("precision_mode", "") if is_gpu else ""
    counts = [one.count for one in config.instance_group]
    threads = "intra_op_thread_count"  # asking the table for a name that it lacks would add it
    text = config.parameters[threads].string_value if threads in config.parameters else ""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1
    return Serving(
        "gpu" if is_gpu else "cpu",
        _within(counts[0] if counts else 1, 1, MOST_INSTANCES),
        _within(number, 1, MOST_THREADS),
        _within(config.max_batch_size, 1, MOST_BATCH),
        "FP16" if precision == "FP16" else "FP32",
    )


def _numbers(found: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """Return the dimensions of the first tensor, zeros when it has another number of them."""
    return tuple(found[0]) if found and len(found[0]) == count else (0,) * count


def _within(value: int, least: int, most: int) -> int:
    return value if least <= value <= most else least


def _leaves(message: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Return each value that a message sets, by its place."""
    for field, value in message.ListFields():
        name = f"{place}{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            rows = [(f"{name}[{key!r}]", value[key]) for key in sorted(value)]
        elif hasattr(value, "append") or hasattr(value, "add"):
            rows = [(f"{name}[{index}]", one) for index, one in enumerate(value)]
        else:
            rows = [(name, value)]
        for row, one in rows:
            if hasattr(one, "ListFields"):
                yield row, "{}"
                yield from _leaves(one, f"{row}.")
            else:
                yield row, repr(one)
