"""Nets that are trained on crops serve whole pictures of any size, resume, and leave as packages."""

import copy
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.store import Store
from tests.support.crops import RECIPE, a_crop_bank, a_crop_input
from tests.support.parts import defective_parts, good_parts
from trainer.arrays import PseudoBank
from trainer.crops.bank import make_crop_bank
from trainer.crops.serve import DenseAnswer, DenseScore
from trainer.data.banks import Banks, BankSpec, BankStore, GeneratedBank, held_out_frames
from trainer.data.snapshot import NormalSource, Snapshot, make_snapshot
from trainer.detector_protocol import FitInput
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.registry import detector_named
from trainer.detectors.robust.served import RobustServed
from trainer.evaluation.auroc import auroc
from trainer.fit import FitSettings, Trained, rebuild, train
from trainer.jobs.export import export
from trainer.pseudo.entry import from_entries, in_memory, to_entries

SMALL: dict[str, float | int | str | bool] = {
    "crops.batch": 8,
    "schedule.attack_steps": 1,
    "shape.width": 8,
}
STEPS = 12


def quiet(step: int, total: int, message: str) -> None:
    pass


def a_training(detector: str, checkpoints: Path | None = None, steps: int = STEPS) -> Trained:
    torch.set_num_threads(1)
    given = a_crop_input()
    settings = FitSettings(detector, seed=3, steps=steps, overrides=SMALL)
    return train(given.normals, given.bank, settings, quiet, checkpoints)


@pytest.fixture(scope="module", params=["robust", "cobra"])
def trained(request: pytest.FixtureRequest) -> Trained:
    return a_training(request.param)


def test_a_net_of_crops_serves_a_whole_picture_and_its_score_is_that_of_its_highest_cells(
    trained: Trained,
) -> None:
    score, anomaly_map = trained.module(torch.from_numpy(a_crop_input().normals[:3]))
    assert anomaly_map.shape == (3, 112 // 4, 160 // 4)
    torch.testing.assert_close(score, anomaly_map.flatten(1).topk(4, dim=1).values.mean(1))
    # These parts lie in their place, so that the place explains the maps.
    assert trained.recipe["crops"] == {"top": 4, "units": [28, 40]}
    assert 0.6 <= trained.figures["place_explains"] <= 1


def test_a_net_of_crops_tells_defective_parts_from_good_ones_and_says_where() -> None:
    torch.set_num_threads(1)
    normals = good_parts(16, 128)
    bank = in_memory(a_crop_bank(normals))
    overrides = {**SMALL, "schedule.attack_steps": 2}
    made = train(normals, bank, FitSettings("robust", seed=3, steps=60, overrides=overrides), quiet)
    bad, masks = defective_parts(12, 128, seed=22)
    pictures = torch.from_numpy(np.concatenate([good_parts(12, 128, seed=21), bad]))
    score, anomaly_map = made.module(pictures)
    assert auroc(score.numpy(), np.arange(24) >= 12) > 0.9
    cells = torch.from_numpy(masks).float().reshape(12, 32, 4, 32, 4).mean((2, 4)) > 0.5
    assert anomaly_map[12:][cells].mean() > anomaly_map[12:][~cells].mean()


def test_the_recipe_and_the_weights_rebuild_it(trained: Trained) -> None:
    pictures = torch.from_numpy(a_crop_input().normals[:3])
    again = rebuild(trained.recipe, trained.weights())
    for one, other in zip(again(pictures), trained.module(pictures), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    with pytest.raises(PackageRejected, match="model do not fit"):
        rebuild({**trained.recipe, "crops": {"top": 4}}, trained.weights())


def test_units_of_the_place_are_in_the_graph_and_in_the_package(trained: Trained) -> None:
    answer = DenseAnswer(DenseScore(4, (28, 40)))
    answer.middle.copy_(torch.randn(28, 40))
    answer.spread.copy_(torch.rand(28, 40) + 0.5)
    module = copy.deepcopy(trained.module)
    assert isinstance(module, RobustServed | CobraServed)
    module.dense = answer
    changed = replace(trained, module=module, recipe={**trained.recipe, "crops": answer.of.as_recipe()})
    exported = export(module, a_crop_input().normals[:5])
    assert (exported.map_height, exported.map_width) == (28, 40)
    assert max(exported.score_difference, exported.map_difference) < 1e-4
    pictures = torch.from_numpy(a_crop_input().normals[:3])
    again = rebuild(changed.recipe, changed.weights())
    assert not torch.allclose(module(pictures)[1], trained.module(pictures)[1], atol=0.1)
    for one, other in zip(again(pictures), module(pictures), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_training_on_crops_that_is_killed_after_hard_places_were_found_ends_in_the_same_weights(
    tmp_path: Path,
) -> None:
    class Killed(Exception):
        pass

    def killed(step: int, total: int, message: str) -> None:
        if step == 42:
            raise Killed

    given, settings = a_crop_input(), FitSettings("robust", seed=3, steps=48, overrides=SMALL)
    with pytest.raises(Killed):
        train(given.normals, given.bank, settings, killed, tmp_path)
    resumed = train(given.normals, given.bank, settings, quiet, tmp_path)
    assert resumed.weights() == train(given.normals, given.bank, settings, quiet).weights()


@pytest.mark.parametrize("detector", ["robust", "cobra"])
def test_a_whole_picture_need_not_be_square(detector: str) -> None:
    normals = np.ascontiguousarray(good_parts(12, 64)[:, :48])
    bad, where = defective_parts(12, 64)
    masks = where[:, :48].astype(np.bool_)
    bank = PseudoBank(np.ascontiguousarray(bad[:, :48]), masks, np.arange(12), ("square",) * 12)
    overrides = {"schedule.batch": 4, "schedule.attack_steps": 1, "shape.width": 8}
    made = train(normals, bank, FitSettings(detector, steps=2, overrides=overrides), quiet)
    assert made.module(torch.from_numpy(normals[:2]))[1].shape == (2, 12, 16)
    assert "crops" not in made.recipe


def test_copies_of_whole_pictures_are_refused_where_crops_are_trained_on() -> None:
    given = a_crop_input()
    with pytest.raises(InvalidConfiguration, match="cpu-whole"):
        train(given.normals, given.bank, FitSettings("cobra", overrides={"score.shifted": True}), quiet)
    turned = FitInput(given.normals, given.bank, "cpu", 0, overrides={"classes": 4})
    with pytest.raises(InvalidConfiguration, match="classes=2"):
        detector_named("cobra").fit(turned, quiet, None)


def test_a_number_that_has_no_say_is_refused_with_those_that_have() -> None:
    given = a_crop_input()
    with pytest.raises(InvalidConfiguration, match=r"flips, schedule\.batch has no say.*crops\.batch"):
        train(
            given.normals,
            given.bank,
            FitSettings("robust", overrides={"schedule.batch": 8, "flips": 2, "shape.width": 8}),
            quiet,
        )
    whole = good_parts(12)
    bank = PseudoBank(whole, whole[..., 0] > 0, np.arange(12), ("square",) * 12)
    with pytest.raises(InvalidConfiguration, match=r"32 x 32 are trained on whole"):
        train(whole, bank, FitSettings("robust", overrides={"crops.batch": 8}), quiet)


@pytest.mark.parametrize(
    ("detector", "takes"),
    [("robust", True), ("robust&certified", True), ("robust+certified", True), ("robust+daf", False)],
)
def test_a_pair_has_crops_only_when_both_parts_can_do_with_them(detector: str, takes: bool) -> None:
    assert (detector_named(detector).bank_recipe("cpu").crops is not None) == takes


def test_a_lost_bank_of_crops_is_made_again_and_judges_by_whole_pictures() -> None:
    def make(snapshot: Snapshot, of: BankSpec) -> GeneratedBank:
        made = make_crop_bank(snapshot.pictures, RECIPE, of.seed, snapshot.held_out)
        entries = to_entries(made, [source.id for source in snapshot.sources])
        return GeneratedBank(entries, RECIPE.parameters(), 4, made.rates)

    parts = good_parts(30, 128)
    snapshot = make_snapshot([(NormalSource(id=f"{i:02}", uri=""), part) for i, part in enumerate(parts)])
    kept = BankStore(Store(f"memory://{uuid.uuid4().hex}"), "line-1")
    uri, digest = kept.put_snapshot("plate", snapshot.pack())
    spec = BankSpec("plate", "gray", "robust", "cpu", 3, uri, digest)
    first, entries = Banks(MemoryBank(), kept, make, ManualClock()).ensure(spec, snapshot, ())
    after = MemoryBank()
    again = Banks(after, kept, make, ManualClock()).rebuild("plate", {first.digest: digest})
    assert (again.version, again.digest) == (first.version, first.digest)
    assert after.read("plate", again.version) == sorted(entries, key=lambda entry: entry.id)
    known = held_out_frames(entries, snapshot)
    assert known.anomalies.shape[1:] == (128, 128, 1)
    trained = [source.id for source, out in zip(snapshot.sources, snapshot.held_out, strict=True) if not out]
    bank = from_entries(entries, {name: index for index, name in enumerate(trained)}, "gray")
    assert bank.corner is not None
    assert bank.pictures.shape[1:] == (64, 64, 1)
