"""Trains a small net alone or under torchrun: ``python -m tests.support.distributed OUT``.

Process 0 writes to OUT, as JSON, the losses of each training, a sum over its weights, and what was said of a
batch of 7 pairs.
"""

import json
import sys
from pathlib import Path

import torch

from steadyline.errors import InvalidConfiguration
from tests.support.crops import a_crop_input
from tests.support.parts import good_parts
from trainer.adversarial import distributed
from trainer.adversarial.batch import Variation
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.training import AdversarialTraining, TrainingPlan, whole_pictures
from trainer.crops.material import crop_material
from trainer.detector_protocol import FitInput
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.objective import CobraObjective
from trainer.detectors.cobra.profile import overridden
from trainer.detectors.cobra.profile import profile_named as cobra_profile
from trainer.detectors.profiles import with_overrides
from trainer.detectors.robust.objective import RobustObjective
from trainer.detectors.robust.profile import profile_named as robust_profile
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.pseudo.entry import in_memory

STEPS = 4
SMALL: dict[str, float | int | str | bool] = {
    "shape.width": 8,
    "schedule.batch": 8,
    "schedule.attack_steps": 2,
    "schedule.mixed": False,
}
COBRAS: dict[str, dict[str, float | int | str | bool]] = {
    "mean": {},
    "sum": {"switch": "sum", "adversaries": "contrast+opposite+classes"},
    "supcon, K = 4": {"switch": "supcon", "classes": 4, "weights.contrast": 1.0},
}


def an_input() -> FitInput:
    """Return parts and their pseudo-anomalies."""
    normals = good_parts(24)
    bank = in_memory(make_pseudo_anomalies(normals, FitSettings("cobra")))
    return FitInput(normals, bank, "cpu", seed=3)


def a_robust_training(given: FitInput, **changes: int) -> AdversarialTraining:
    """Return a training of the detector ``robust`` with ``changes`` to its schedule."""
    changed = {f"schedule.{name}": value for name, value in changes.items()}
    robust = with_overrides(robust_profile("cpu"), {**SMALL, **changed})
    torch.manual_seed(3)
    plan = TrainingPlan(robust.schedule, STEPS, 3)
    network = CellNetwork(robust.shape, 1)
    material = whole_pictures(given, network, Variation(robust.light, robust.shift))
    return AdversarialTraining(material, plan, network, RobustObjective(robust))


def a_crop_training() -> AdversarialTraining:
    """Return a training of the detector ``robust`` on crops."""
    given = a_crop_input()
    robust = with_overrides(robust_profile("cpu"), SMALL)
    torch.manual_seed(3)
    plan = TrainingPlan(robust.schedule, STEPS, 3)
    network = CellNetwork(robust.shape, 1)
    material = crop_material(given, network, robust.light, aside=8).material
    return AdversarialTraining(material, plan, network, RobustObjective(robust, in_crops=True))


def trainings(given: FitInput) -> dict[str, AdversarialTraining]:
    """Return the trainings, each at its first step."""
    x = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
    found: dict[str, AdversarialTraining] = {}
    for name, changes in COBRAS.items():
        profile = overridden(cobra_profile("cpu"), {**SMALL, "score.memory": 8, **changes})
        torch.manual_seed(3)
        network = Network(profile.shape, 1, profile.embedding, profile.classes)
        plan = TrainingPlan(profile.schedule, STEPS, 3, profile.rows_per_pair)
        material = whole_pictures(given, network, Variation(profile.light))
        found[name] = AdversarialTraining(material, plan, network, CobraObjective(profile, x, 3))
    found["robust"] = a_robust_training(given)
    found["robust on crops"] = a_crop_training()
    return found


def curves(given: FitInput) -> dict[str, dict[str, list[float]]]:
    """Return, by training, the losses of its steps and the sizes of its weights after them."""
    found = {}
    for name, training in trainings(given).items():
        losses = [training.step() for _ in range(STEPS)]
        sizes = [float(value.float().norm()) for value in training.state.network.state_dict().values()]
        found[name] = {"losses": losses, "sizes": sizes}
    return found


def refusal(given: FitInput) -> str:
    """Return what is said of a batch of 7 pairs; empty when it is trained on."""
    try:
        a_robust_training(given, batch=7).run(None, lambda step, total, message: None)
    except InvalidConfiguration as error:
        return str(error)
    return ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined():
        parts = an_input()
        result = {"processes": distributed.world(), "curves": curves(parts), "refusal": refusal(parts)}
        if distributed.rank() == 0:
            Path(sys.argv[1]).write_text(json.dumps(result))
