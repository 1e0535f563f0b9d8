"""A model and pictures of known truth: its scores, and what attacks make of them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainer.arrays import Pictures
from trainer.detector_protocol import Served
from trainer.evaluation.attacks import Attack, ReportDone, at_once
from trainer.evaluation.auroc import auroc
from trainer.evaluation.localisation import Maps
from trainer.evaluation.native import Native, Objective, attack_native

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SideAurocs:
    """AUROC when an attack only hides defects (anomalies lowered, normals as they are), and when it only
    raises false alarms (normals raised, anomalies as they are).
    """

    hide: float
    raise_: float

    def rounded(self, digits: int) -> dict[str, float]:
        """Return both by the names ``hide`` and ``raise``."""
        return {"hide": round(self.hide, digits), "raise": round(self.raise_, digits)}


@dataclass(frozen=True, slots=True)
class AttackTarget:
    """A model together with pictures of known truth, scored and attacked through the served score.

    ``x`` is (N, C, H, W) in [0, 1], ``anomalous`` (N,) bool. With ``native`` attacks change the camera's own
    pixels, through the resize; without it they change ``x``. With ``mixed`` an attack searches with products
    in bfloat16, and the pictures it finds are still scored in float32.
    """

    module: Served
    x: Tensor
    anomalous: NDArray[np.bool_]
    native: Native | None = None
    mixed: bool = False

    @staticmethod
    def of(module: Served, pictures: Pictures, anomalous: NDArray[np.bool_]) -> "AttackTarget":
        """Return the target of uint8 pictures (N, H, W, C)."""
        return AttackTarget(module, floats(pictures), anomalous)

    @staticmethod
    def at_native(module: Served, native: Native, anomalous: NDArray[np.bool_]) -> "AttackTarget":
        """Return the target of a camera's pictures, each of its own size; ``x`` is not rounded to 8 bits."""
        return AttackTarget(module, native.resized(), anomalous, native)

    def part(self, index: NDArray[np.intp]) -> "AttackTarget":
        """Return the target of some of the pictures."""
        native = None if self.native is None else self.native.part(index.tolist())
        return replace(
            self, x=self.x[torch.from_numpy(index)], anomalous=self.anomalous[index], native=native
        )

    @property
    def direction(self) -> Tensor:
        """Return (N,): +1 where an attack raises the score (normals), -1 where it lowers it (anomalies)."""
        return torch.from_numpy(np.where(self.anomalous, -1.0, 1.0).astype(np.float32))

    def score(self, x: Tensor) -> Tensor:
        """Return the scores (B,) of pictures (B, C, H, W), differentiable."""
        return self.module.score_alone(x)

    def scores(self, x: Tensor) -> Scores:
        """Return the scores (N,) of any number of pictures (N, C, H, W)."""
        with torch.inference_mode():
            return torch.cat([self.score(part) for part in torch.split(x, at_once(x))]).numpy()

    def maps(self, x: Tensor) -> Maps:
        """Return the maps (N, H, W) of any number of pictures (N, C, H, W), enlarged to their side."""
        found = []
        with torch.inference_mode():
            for part in torch.split(x, at_once(x)):
                anomaly_map = self.module.score_float(part)[1][:, None]
                found.append(functional.interpolate(anomaly_map, size=x.shape[2:], mode="bilinear")[:, 0])
        maps: Maps = torch.cat(found).numpy()
        return maps

    def attacked(self, attack: Attack, on_progress: ReportDone | None = None) -> Tensor:
        """Return the pictures (N, C, H, W), each attacked in its own direction.

        ``on_progress`` gets how many are done.
        """
        direction = self.direction
        return self.maximise(attack, lambda x, places: self.score(x) * direction[places], on_progress)

    def maximise(self, attack: Attack, gain: Objective, on_progress: ReportDone | None = None) -> Tensor:
        """Return the pictures (N, C, H, W) changed so that ``gain`` rises; see ``attack_native`` for
        ``gain``.
        """

        def searched(x: Tensor, places: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
                return gain(x, places)

        if self.native is not None:
            return attack_native(attack, searched, self.native, on_progress)
        found = []
        for places in torch.split(torch.arange(len(self.x)), at_once(self.x)):
            x = self.x[places]
            found.append(attack(lambda x, at=places: searched(x, at), x, torch.ones(len(x))))  # type: ignore[misc]
            if on_progress is not None:
                on_progress(int(places[-1]) + 1)
        return torch.cat(found)

    def auroc(self, scores: Scores) -> float:
        """Return the image AUROC of scores (N,)."""
        return auroc(scores, self.anomalous)

    def by_side(self, clean: Scores, attacked: Scores) -> SideAurocs:
        """Return the AUROC of each side alone, of scores (N,) before and under an attack."""
        hidden = self.auroc(np.where(self.anomalous, attacked, clean))
        return SideAurocs(hidden, self.auroc(np.where(self.anomalous, clean, attacked)))


def rounded(x: Tensor) -> Pictures:
    """Return pictures (N, C, H, W) in [0, 1] as a camera sends them: uint8 (N, H, W, C)."""
    found: Pictures = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return found


def floats(pictures: Pictures) -> Tensor:
    """Return uint8 pictures (N, H, W, C) as float32 (N, C, H, W) in [0, 1], as the served module does."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
