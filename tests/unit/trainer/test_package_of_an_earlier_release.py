"""A package that an earlier release wrote loads, and gives the very scores that it gave then.

``tests/data/package-of-0.1`` was fitted by release 0.1, before its modules were renamed: ``robust``, 4 steps,
width 4, 32 pixels. ``scores-of-0.1.json`` is what it said then of the pictures below.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from steadyline.contracts.model_event import Package
from steadyline.package import MODEL, write_card
from trainer.arrays import PseudoBank
from trainer.detector_protocol import FitInput
from trainer.detectors.recipe import training_recipe
from trainer.detectors.robust.profile import profile_named
from trainer.folder import open_package
from trainer.jobs.export import OnnxModel

PACKAGE = Path(__file__).resolve().parents[2] / "data" / "package-of-0.1"
SCORES = PACKAGE.with_name("scores-of-0.1.json")
NEARLY = 1e-5  # another kind of processor sums in another order; the one that fitted it gives the same bits


def pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), dtype=np.uint8)


def test_the_module_is_rebuilt_from_its_recipe_and_gives_the_same_scores() -> None:
    card, module = open_package(PACKAGE)
    assert (card.detector, card.size, card.version) == ("robust", 32, 1)
    with torch.inference_mode():
        scores, _ = module(torch.from_numpy(pictures()))
    known = json.loads(SCORES.read_text(encoding="utf-8"))
    np.testing.assert_allclose(scores.numpy(), known["torch"], rtol=NEARLY)


def test_the_graph_gives_the_same_scores() -> None:
    scores, _ = OnnxModel((PACKAGE / MODEL).read_bytes())(pictures())
    known = json.loads(SCORES.read_text(encoding="utf-8"))
    np.testing.assert_allclose(scores, known["graph"], rtol=NEARLY)


def test_it_has_no_certified_part_and_its_card_says_the_same_as_ever() -> None:
    card = open_package(PACKAGE)[0]
    assert not OnnxModel((PACKAGE / MODEL).read_bytes()).is_certified
    assert not card.model(Package(uri="", digests={}), "live", "").is_certified
    assert b"certified" not in write_card(card)


def test_the_same_training_has_the_same_recipe_today() -> None:
    recipe = json.loads((PACKAGE / "card.json").read_text(encoding="utf-8"))["recipe"]
    profile = profile_named("cpu")
    narrow = replace(profile, shape=replace(profile.shape, width=4))
    none = np.zeros((0, 32, 32, 1), np.uint8)
    bank = PseudoBank(none, np.zeros((0, 32, 32), np.bool_), np.zeros(0, np.int64), ())
    given = FitInput(pictures(), bank, "cpu", seed=0)
    assert training_recipe(given, "robust", narrow, 4) == recipe
