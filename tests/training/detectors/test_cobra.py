"""COBRA trains, resumes, and is served as the contract says."""

import numpy as np
import pytest
import torch

from steadyline.errors import InvalidConfiguration, PackageRejected
from tests.support.fitting import STEPS, uninterrupted
from tests.support.parts import defective_parts, good_parts
from trainer.adversarial.fuse_batchnorm import folded
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.profile import ADVERSARIES, PROFILES, SWITCHES
from trainer.evaluation.auroc import auroc
from trainer.fit import FitSettings, Trained, fit, rebuild


def quiet(step: int, total: int, message: str) -> None:
    pass


@pytest.fixture(scope="module")
def trained() -> Trained:
    torch.set_num_threads(1)
    return uninterrupted()


def test_it_tells_defective_parts_from_good_ones_it_never_saw(trained: Trained) -> None:
    good, (bad, masks) = good_parts(30, seed=21), defective_parts(30, seed=22)
    score, anomaly_map = trained.module(torch.from_numpy(np.concatenate([good, bad])))
    assert auroc(score.numpy(), np.arange(60) >= 30) > 0.9
    assert anomaly_map.shape == (60, 8, 8)
    cells = torch.from_numpy(masks).float().reshape(30, 8, 4, 8, 4).mean((2, 4)) > 0.5
    assert anomaly_map[30:][cells].mean() > anomaly_map[30:][~cells].mean()


def test_the_recipe_and_the_weights_rebuild_the_model(trained: Trained) -> None:
    again = rebuild(trained.recipe, trained.weights())
    pictures = torch.from_numpy(good_parts(4))
    torch.testing.assert_close(again(pictures), trained.module(pictures))


def test_weights_that_are_not_of_the_recipe_are_refused(trained: Trained) -> None:
    with pytest.raises(PackageRejected, match="no safetensors"):
        rebuild(trained.recipe, b"nonsense")
    with pytest.raises(PackageRejected, match="do not fit"):
        rebuild({**trained.recipe, "channels": 3}, trained.weights())
    with pytest.raises(InvalidConfiguration, match="no detector 'viper'"):
        rebuild({**trained.recipe, "detector": "viper"}, trained.weights())


def test_figures_of_a_training_need_no_label(trained: Trained) -> None:
    assert trained.figures["steps"] == STEPS
    assert 0 <= trained.figures["guard_auroc"] <= 1


@pytest.mark.parametrize(
    ("profile", "switch"), [*(("cpu", switch) for switch in SWITCHES), ("paper", "mean")]
)
def test_every_profile_trains_with_every_loss(profile: str, switch: str) -> None:
    small: dict[str, float | int | str | bool] = {
        "shape.width": 8,
        "schedule.batch": 4,
        "schedule.attack_steps": 1,
        "score.memory": 8,
        "switch": switch,
    }
    settings = FitSettings("cobra", profile=profile, steps=2, overrides=small)
    made = fit(good_parts(10, channels=3), settings, quiet)[0]
    score, anomaly_map = made.module(torch.from_numpy(good_parts(2, channels=3)))
    assert torch.isfinite(score).all()
    assert torch.isfinite(anomaly_map).all()


def test_the_papers_own_recipe_trains_at_its_real_width() -> None:
    """Nothing is smaller than in the paper but the pictures, the batch and the numbers of steps."""
    paper = PROFILES["paper"]
    assert (paper.shape.width, paper.shape.blocks, paper.embedding) == (64, (2, 2, 2, 2), 128)
    assert (paper.schedule.optimizer, paper.schedule.attack_steps, paper.classes) == ("lars", 10, 2)
    assert paper.adversaries == tuple(ADVERSARIES.values())
    assert paper.score.shifted
    small: dict[str, float | int | str | bool] = {
        "schedule.batch": 4,
        "schedule.attack_steps": 1,
        "score.memory": 16,
    }
    made = fit(good_parts(9), FitSettings("cobra", profile="paper", steps=2, overrides=small), quiet)[0]
    weights = made.module.state_dict()
    assert sum(value.numel() for value in weights.values()) > 11_000_000
    assert bool(torch.isfinite(made.module(torch.from_numpy(good_parts(3)))[0]).all())
    torch.manual_seed(0)
    start = folded(Network(paper.shape, 1, paper.embedding)).state_dict()
    moved = {name.split(".")[0] for name in start if not torch.equal(start[name], weights[f"network.{name}"])}
    assert moved >= {"stem", "stages", "head", "projector"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (FitSettings("cobra", profile="laptop"), "no profile 'laptop'"),
        (FitSettings(detector="viper"), "no detector 'viper'"),
        (FitSettings("cobra", overrides={"switch": "max"}), "switch is 'max'"),
        (FitSettings("cobra", overrides={"weights.colour": 1}), r"no number 'weights\.colour'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: FitSettings, message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        fit(good_parts(10), settings, quiet)


def test_pictures_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="multiples of 16"):
        fit(good_parts(10, 40), FitSettings("cobra"), quiet)


def test_too_few_normals_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="too few"):
        fit(good_parts(4), FitSettings("cobra"), quiet)
