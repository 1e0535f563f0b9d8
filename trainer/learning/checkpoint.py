"""Checkpoints that survive a kill at any moment: tensors as safetensors, the rest as JSON, never a pickle.

The JSON is written last, by one rename, and names the tensors' file and its digest. Until then the previous
checkpoint counts. ``key`` says which training a checkpoint belongs to; one with another key is not resumed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from steadyline.replace_file import replace_file

_HEAD = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after ``step`` steps; ``notes`` is any JSON that the training wants to get back."""

    step: int
    tensors: Mapping[str, Tensor]
    notes: dict[str, float | int | str | list[float]]


class Checkpoints:
    """The newest checkpoint of one training, in a folder of its own."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the previous checkpoint; at every moment one of the two is whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = save({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()})
        name = f"step-{checkpoint.step}.safetensors"
        replace_file(self._folder / name, data, sync=True)
        head = {
            "key": self._key,
            "step": checkpoint.step,
            "tensors": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "notes": checkpoint.notes,
        }
        replace_file(self._folder / _HEAD, json.dumps(head, indent=1).encode(), sync=True)
        for other in self._folder.glob("step-*.safetensors"):
            if other.name != name:
                other.unlink()

    def newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint with this key, or None when there is none."""
        try:
            head = json.loads((self._folder / _HEAD).read_bytes())
            if head["key"] != self._key:
                return None
            data = (self._folder / head["tensors"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != head["sha256"]:
                return None
            return Checkpoint(int(head["step"]), load(data), head["notes"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None
