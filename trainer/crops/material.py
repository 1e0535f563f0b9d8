"""The material of a training on crops: its batches, and the crops that judge it."""

from dataclasses import dataclass, replace

import numpy as np

from steadyline.errors import InvalidConfiguration
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.model_selection import ModelSelection, as_floats
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.schedule import TrainingSchedule
from trainer.adversarial.training import Material
from trainer.arrays import Pictures
from trainer.crops.batch import CropBatches
from trainer.detector_protocol import FitInput
from trainer.learning.augment import Light

# Numbers of a training on whole pictures that one on crops has of its own, or does without.
_OF_WHOLE = frozenset({"schedule.epsilon", "schedule.batch", "schedule.steps", "shift", "flips", "sharpness"})


@dataclass(frozen=True, slots=True)
class CropCourse:
    """The numbers of a training on crops that differ from those on whole pictures.

    A batch has ``batch`` crops of normals and as many pseudo-anomalies, ``epsilon`` is the size of the
    training attack, and the score is the mean of the ``top`` highest cells.
    """

    epsilon: float
    batch: int
    steps: int
    top: int

    def schedule(self, whole: TrainingSchedule) -> TrainingSchedule:
        """Return the schedule of whole pictures with the numbers of crops."""
        return replace(whole, epsilon=self.epsilon, batch=self.batch, steps=self.steps)


# 2.5/255 favours clean figures; 4/255 is better where attacks of that size count.
CPU_CROPS = CropCourse(epsilon=2.5 / 255, batch=16, steps=2400, top=4)


def check_overrides(given: FitInput) -> None:
    """Raise InvalidConfiguration for a number that has no say in the training of ``given``."""
    in_crops = given.bank.corner is not None
    of_crops = {name for name in given.overrides if name.startswith("crops.")}
    unused = _OF_WHOLE & given.overrides.keys() if in_crops else of_crops
    if not unused:
        return
    _, height, width, _ = given.normals.shape
    instead = "crops.epsilon, crops.batch and crops.steps" if in_crops else "those that begin with schedule."
    raise InvalidConfiguration(
        f"pictures of {height} x {width} are trained on {'in crops' if in_crops else 'whole'}, where "
        f"{', '.join(sorted(unused))} has no say: the numbers that have are {instead}"
    )


@dataclass(frozen=True, slots=True)
class CropMaterial:
    """What is trained on, and crops of normals (K, h, w, C) for memories that a detector fills on the way."""

    material: Material
    normals: Pictures


def crop_material(
    given: FitInput, network: CellNetwork, light: Light, aside: int, remembered: int = 0
) -> CropMaterial:
    """Return the material of a training on the crops of ``given.bank``, with ``remembered`` normal crops.

    ``aside`` pseudo-anomalies of the bank judge the training, beside as many fresh crops of normals. They are
    fewer where that would be more than an eighth of the bank.
    """
    bank, seed = given.bank, given.seed
    rng = np.random.default_rng([seed, len(given.normals)])
    order = rng.permutation(len(bank.source))
    judging = np.sort(order[: min(aside, len(order) // 8)])
    rest = bank.subset(np.setdiff1d(np.arange(len(order)), judging))
    _, height, width, channels = bank.pictures.shape
    batches = CropBatches(given.normals, rest, folded(network).grid(channels, height, width), light)
    normals = batches.fresh(len(judging), rng)
    selection = ModelSelection(as_floats(normals), as_floats(bank.pictures[judging]))
    return CropMaterial(
        Material(batches, selection), batches.fresh(remembered, rng) if remembered else normals
    )
