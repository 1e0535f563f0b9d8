"""DAF learns where from synthetic defects, resumes as it was, and its graph answers as torch does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from steadyline.errors import InvalidConfiguration, PackageRejected
from tests.support.parts import defective_parts, good_parts
from trainer.detectors.daf import training
from trainer.detectors.daf.profile import PROFILES, profile_named
from trainer.detectors.daf.served import DafServed
from trainer.detectors.registry import detector_named
from trainer.evaluation.auroc import auroc
from trainer.evaluation.localisation import aupro
from trainer.fit import FitSettings, Trained, fit, make_pseudo_anomalies, rebuild, train
from trainer.jobs.export import export
from trainer.pseudo.entry import in_memory
from trainer.pseudo.synthetic import STRATEGIES

SMALL: dict[str, float | int | str | bool] = {
    "shape.student": 12,
    "shape.decoder": 8,
    "schedule.mixed": False,
    "schedule.average": 0.9,
    "vary.copies": 0,
}
SETTINGS = FitSettings("daf", seed=3, steps=90, overrides=SMALL)


def quiet(step: int, total: int, message: str) -> None:
    pass


@pytest.fixture(scope="module")
def trained() -> Trained:
    torch.set_num_threads(1)
    return fit(good_parts(24), SETTINGS, quiet)[0]


def test_it_says_where_the_defect_is_and_which_part_has_one(trained: Trained) -> None:
    good, (bad, masks) = good_parts(20, seed=21), defective_parts(20, seed=22)
    score, anomaly_map = trained.module(torch.from_numpy(np.concatenate([good, bad])))
    assert anomaly_map.shape == (40, 32, 32)
    truth = np.concatenate([np.zeros_like(masks), masks])
    assert auroc(anomaly_map.numpy(), truth) > 0.9
    assert aupro(anomaly_map.numpy(), truth) > 0.6
    assert auroc(score.numpy(), np.arange(40) >= 20) > 0.85


def test_the_score_is_the_mean_of_the_map_s_highest_pixels(trained: Trained) -> None:
    score, anomaly_map = trained.module(torch.from_numpy(defective_parts(3)[0]))
    highest = anomaly_map.flatten(1).sort(1).values[:, -5:]
    torch.testing.assert_close(score, highest.mean(1))


def test_teacher_and_score_pass_gradients_to_the_pixels_and_none_to_weights(trained: Trained) -> None:
    x = torch.from_numpy(good_parts(2)).permute(0, 3, 1, 2).float().div(255).requires_grad_()
    trained.module.score_float(x)[0].sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (x.grad.flatten(1).abs().amax(1) > 0).all()
    assert not any(parameter.requires_grad for parameter in trained.module.parameters())


def test_the_recipe_and_the_weights_rebuild_it(trained: Trained) -> None:
    again = rebuild(trained.recipe, trained.weights())
    assert isinstance(again, DafServed)
    pictures = np.concatenate([good_parts(6), defective_parts(6)[0]])
    torch.testing.assert_close(again(torch.from_numpy(pictures)), trained.module(torch.from_numpy(pictures)))
    with pytest.raises(PackageRejected, match="daf model do not fit"):
        rebuild({**trained.recipe, "channels": 3}, trained.weights())


def test_a_dead_channel_gives_numbers_in_torch_and_in_the_graph(trained: Trained) -> None:
    dead = rebuild(trained.recipe, trained.weights())
    assert isinstance(dead, DafServed)
    with torch.no_grad():
        # all of one stage of the student, and one channel of the teacher's: no length, no variance
        for parameter in dead.learner.student.heads[1].parameters():
            parameter.zero_()
        dead.teacher.get_buffer("mean_1").zero_()
        dead.teacher.get_buffer("spread_1").fill_(1e12)
    exported = export(dead, np.concatenate([good_parts(4), defective_parts(4)[0]]))
    assert max(exported.score_difference, exported.map_difference) < 1e-4


def test_a_killed_training_goes_on_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledDaf(Exception):
        pass

    def killed(step: int, total: int, message: str) -> None:
        if step == 6:
            raise KilledDaf

    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 4)
    normals, settings = good_parts(12), replace(SETTINGS, steps=7)
    bank = in_memory(make_pseudo_anomalies(normals, settings))
    whole = train(normals, bank, settings, quiet)
    with pytest.raises(KilledDaf):
        train(normals, bank, settings, killed, tmp_path)
    seen: list[int] = []
    resumed = train(normals, bank, settings, lambda step, total, message: seen.append(step), tmp_path)
    assert seen == [5, 6, 7]
    assert resumed.weights() == whole.weights()


def test_each_strategy_of_the_paper_is_a_profile_with_its_own_bank() -> None:
    for base in ("cpu", "paper"):
        for name, shares in STRATEGIES.items():
            assert profile_named(f"{base}-{name}").bank.shares == shares
            assert detector_named("daf").bank_recipe(f"{base}-{name}") == PROFILES[f"{base}-{name}"].bank
    with pytest.raises(InvalidConfiguration, match="daf has no profile 'cpu-magic'"):
        profile_named("cpu-magic")


@pytest.mark.parametrize(
    "settings",
    [
        FitSettings("daf", "paper-nsa", steps=2, overrides={"schedule.mixed": False}),
        replace(SETTINGS, steps=2, overrides={**SMALL, "shape.cue": False, "schedule.teacher_sees": "clean"}),
        replace(SETTINGS, steps=2, overrides={**SMALL, "shape.decodes": "student"}),
        replace(SETTINGS, steps=2, overrides={**SMALL, "shape.decodes": "teacher"}),
    ],
)
def test_every_switch_trains(settings: FitSettings) -> None:
    normals = good_parts(10, 32, 3)
    module = fit(normals, settings, quiet)[0].module
    score, anomaly_map = module(torch.from_numpy(normals))
    assert score.isfinite().all()
    assert anomaly_map.shape == (10, 32, 32)


def test_the_rate_grows_and_is_cut_to_a_fifth_twice() -> None:
    schedule = profile_named("paper").schedule
    rates = [schedule.rate_at(step, 1000) / schedule.learning_rate for step in (0, 39, 500, 700, 900)]
    assert rates == pytest.approx([0.025, 1, 1, 0.2, 0.04])
