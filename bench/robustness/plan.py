"""The plan of a bench: which data sets, models and attacks are run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.robustness.anomalib import NAMES
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture import Channels
from trainer.detector_protocol import Overrides
from trainer.overrides import overrides_of

# Detectors with other numbers than their profile's, which the bench measures under names of their own.
VARIANTS: Mapping[str, tuple[str, Overrides]] = {
    "patch-nearest": ("patch", {"judged": "nearest"}),
    "patch-gaussian": ("patch", {"judged": "gaussian"}),
    "patch-unvaried": ("patch", {"vary.copies": 0}),
}

_FROZEN = ("patch", *VARIANTS, *NAMES)  # these use features of a frozen network
SIZES: Mapping[str, int] = {"daf": 128, "bgad": 224, **dict.fromkeys(_FROZEN, 224)}
DEFAULT_SIZE = 64


@dataclass(frozen=True, slots=True)
class AttackSettings:
    """How models are attacked.

    ``attacked`` is how many normals and how many anomalies undergo the long attacks (None means all).
    ``checked`` is how many of each undergo the attacks that decide whether the figures can be believed. With
    ``mixed`` attacks search in bfloat16.
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
        """Return as JSON all settings that the figures depend on."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FitSettingsByModel:
    """How models are trained: profile, steps (None means the profile's), and grids of the input other than
    the usual.

    ``overrides`` are, by detector, the numbers that replace the profile's.
    """

    profile: str = "cpu"
    steps: int | None = None
    sizes: Mapping[str, Grid] = field(default_factory=dict)
    channels: Channels = "gray"
    false_alarm_rate: float = 0.01
    overrides: Mapping[str, Overrides] = field(default_factory=dict)

    def grid(self, name: str) -> Grid:
        """Return the height and width in pixels of the input of a detector or baseline."""
        return self.sizes.get(name) or Grid.square(SIZES.get(name, DEFAULT_SIZE))

    def detector(self, name: str) -> tuple[str, Overrides]:
        """Return the detector that is trained under a name of the bench, and the numbers that it gets."""
        detector, own = VARIANTS.get(name, (name, {}))
        return detector, {**own, **self.overrides.get(name, {})}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a data set, a model and a seed."""

    data: str
    model: str
    seed: int

    @property
    def path(self) -> Path:
        """Return where the run lies, below the folder of all results."""
        return Path(self.data) / f"{self.model}-{self.seed}"


def overrides_by_detector(typed: Sequence[str]) -> dict[str, Overrides]:
    """Return the numbers typed as DETECTOR:NAME=VALUE; raises InvalidConfiguration for anything else."""
    found: dict[str, list[str]] = {}
    for text in typed:
        detector, colon, number = text.partition(":")
        if not detector or not colon:
            raise InvalidConfiguration(f"--set {text}: DETECTOR:NAME=VALUE is wanted")
        found.setdefault(detector, []).append(number)
    return {detector: overrides_of(own) for detector, own in found.items()}
