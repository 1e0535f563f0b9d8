"""Robust trains on masks under attack, and is served as the contract says."""

import numpy as np
import pytest
import torch

from steadyline.errors import PackageRejected
from tests.support.parts import defective_parts, good_parts
from trainer.detectors.robust.served import RobustServed
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.auroc import auroc
from trainer.evaluation.subject import AttackTarget
from trainer.fit import FitSettings, Trained, fit, rebuild

SMALL: dict[str, float | int | str | bool] = {
    "schedule.batch": 8,
    "schedule.attack_steps": 2,
    "shape.width": 8,
}


def quiet(step: int, total: int, message: str) -> None:
    pass


@pytest.fixture(scope="module")
def trained() -> Trained:
    torch.set_num_threads(1)
    settings = FitSettings("robust", seed=3, steps=60, overrides=SMALL)
    return fit(good_parts(24), settings, quiet)[0]


def test_it_tells_defective_parts_from_good_ones_and_says_where(trained: Trained) -> None:
    good, (bad, masks) = good_parts(30, seed=21), defective_parts(30, seed=22)
    score, anomaly_map = trained.module(torch.from_numpy(np.concatenate([good, bad])))
    assert auroc(score.numpy(), np.arange(60) >= 30) > 0.9
    cells = torch.from_numpy(masks).float().reshape(30, 8, 4, 8, 4).mean((2, 4)) > 0.5
    assert anomaly_map[30:][cells].mean() > anomaly_map[30:][~cells].mean()


def test_a_small_attack_does_not_undo_it(trained: Trained) -> None:
    pictures = np.concatenate([good_parts(20, seed=21), defective_parts(20, seed=22)[0]])
    subject = AttackTarget.of(trained.module, pictures, np.arange(40) >= 20)
    assert subject.auroc(subject.scores(subject.attacked(Pgd(2 / 255, 20)))) > 0.8


def test_flipped_pictures_have_the_same_score_and_a_flipped_map(trained: Trained) -> None:
    x = torch.from_numpy(good_parts(3)).permute(0, 3, 1, 2).float() / 255
    score, anomaly_map = trained.module.score_float(x)
    again, flipped = trained.module.score_float(x.flip(-1))
    torch.testing.assert_close(score, again)
    torch.testing.assert_close(anomaly_map, flipped.flip(-1))


def test_the_recipe_and_the_weights_rebuild_it(trained: Trained) -> None:
    again = rebuild(trained.recipe, trained.weights())
    assert isinstance(again, RobustServed)
    pictures = np.concatenate([good_parts(6), defective_parts(6)[0]])
    torch.testing.assert_close(again(torch.from_numpy(pictures)), trained.module(torch.from_numpy(pictures)))
    with pytest.raises(PackageRejected, match="robust model do not fit"):
        rebuild({**trained.recipe, "channels": 3}, trained.weights())
