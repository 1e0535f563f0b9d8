"""What is run: data sets, models, attacks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.robustness.anomalib import NAMES
from steadyline.errors import InvalidConfiguration
from steadyline.picture import Channels
from trainer.detector_protocol import Overrides
from trainer.overrides import overrides_of

_FROZEN = ("patch-nearest", "patch-gaussian", *NAMES)  # features of a frozen network
SIZES: Mapping[str, int] = {"daf": 128, "bgad": 224, **dict.fromkeys(_FROZEN, 224)}
DEFAULT_SIZE = 64


@dataclass(frozen=True, slots=True)
class AttackSettings:
    """The attacks. ``attacked``: pictures of each kind under the long ones (None: all); ``checked``: of each
    kind under those that decide whether the figures can be believed; ``mixed``: search in bfloat16.
    """

    epsilons: tuple[float, ...] = (2 / 255, 4 / 255)
    first_steps: int = 10
    steps: int = 100
    restarts: int = 2
    attacked: int | None = None
    checked: int = 48
    at: Literal["native", "input"] = "native"
    mixed: bool = False
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return all that the figures depend on."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FitSettingsByModel:
    """How models are trained: profile, steps (None: the profile's), input sizes other than the usual ones.

    ``overrides`` are other numbers than the profile's, by detector.
    """

    profile: str = "cpu"
    steps: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    channels: Channels = "gray"
    false_alarm_rate: float = 0.01
    overrides: Mapping[str, Overrides] = field(default_factory=dict)

    def size(self, name: str) -> int:
        """Return the side of the input of a detector or baseline, pixels."""
        return self.sizes.get(name, SIZES.get(name, DEFAULT_SIZE))


@dataclass(frozen=True, slots=True)
class Run:
    """One data set, one model, one seed."""

    data: str
    model: str
    seed: int

    @property
    def path(self) -> Path:
        """Where it lies, below the folder of all results."""
        return Path(self.data) / f"{self.model}-{self.seed}"


def overrides_by_detector(typed: Sequence[str]) -> dict[str, Overrides]:
    """Return the numbers that are typed as DETECTOR:NAME=VALUE; InvalidConfiguration for anything else."""
    found: dict[str, list[str]] = {}
    for text in typed:
        detector, colon, number = text.partition(":")
        if not detector or not colon:
            raise InvalidConfiguration(f"--set {text}: DETECTOR:NAME=VALUE is wanted")
        found.setdefault(detector, []).append(number)
    return {detector: overrides_of(own) for detector, own in found.items()}
