"""A defect among the held-out normals decides nothing, and a person is told its name."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.digest import sha256
from steadyline.grid import Grid
from steadyline.line import GateSection
from steadyline.picture import encode_png
from steadyline.store import Store
from tests.support.parts import a_set_of_parts, defective_parts, good_parts
from trainer.arrays import Pictures
from trainer.data.banks import Banks, BankStore
from trainer.data.snapshot import NormalSource, make_snapshot
from trainer.folder import FolderOrder, fit_folder
from trainer.jobs.bank_maker import pseudo_maker
from trainer.jobs.build import BuildContext, BuiltPackage, PackageInputs, make_package
from trainer.jobs.spec import JobSpec

SIDE = 32


def named(parts: Pictures) -> list[tuple[NormalSource, Pictures]]:
    """Return parts as frames of a folder."""
    return [(NormalSource(id=f"{i:02}.png", uri=""), part) for i, part in enumerate(parts)]


def a_package(parts: Pictures, work: Path, left_out: tuple[str, ...] = ()) -> BuiltPackage:
    """Return what is made of ``parts``, of which the guard has left out others."""
    torch.set_num_threads(1)
    store, clock = Store(f"memory://{uuid.uuid4().hex}"), ManualClock()
    snapshot = make_snapshot(named(parts), left_out)
    packed = snapshot.pack()
    spec = JobSpec(
        product="plate", version=1, why="test", detector="certified", profile="cpu", steps=None, seed=0,
        size=SIDE, channels="gray", false_alarm_rate=0.01, gate=GateSection(steps=1),
        snapshot_uri=store.put("snapshots/plate", packed), snapshot_digest=sha256(packed), live=None,
        ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    context = BuildContext(work, lambda phase, done, of: None, clock)
    banks = Banks(MemoryBank(), BankStore(store, "l"), pseudo_maker(context.on_progress), clock)
    manifest, entries = banks.ensure(spec.bank_spec(), snapshot, ())
    inputs = PackageInputs(spec, snapshot, manifest, entries)
    return make_package(inputs, inputs.held_out(), context)


def test_a_defect_among_the_held_out_is_no_threshold_and_is_named_beside_what_the_guard_left_out(
    tmp_path: Path,
) -> None:
    good, defect = good_parts(60, SIDE), defective_parts(1, SIDE)[0]
    place = int(np.flatnonzero(make_snapshot(named(good)).held_out)[0])
    clean = a_package(good, tmp_path / "clean").card
    poisoned = np.concatenate([good[:place], defect, good[place + 1 :]])
    made = a_package(poisoned, tmp_path / "poisoned", ("dirty.png", "hand.png"))
    (before, after) = (card.calibrations[PRODUCT_WIDE] for card in (clean, made.card))
    assert after.threshold < 1.2 * before.threshold
    assert after.achieved_rate > before.achieved_rate, "the bound counts it as a normal"
    assert made.card.figures["detection_rate"] > clean.figures["detection_rate"] - 0.05
    left_out = made.card.lineage["left_out"]
    assert left_out.startswith(f"of the normals dirty.png, hand.png; of those held out {place:02}.png (")
    assert any(f"look at them: {place:02}.png" in note for note in made.notes)
    assert "left_out" not in clean.lineage


@pytest.mark.parametrize("guard", [True, False])
def test_a_fit_on_a_folder_leaves_out_what_is_no_normal_and_names_it(tmp_path: Path, guard: bool) -> None:
    torch.set_num_threads(1)
    a_set_of_parts(tmp_path / "parts")
    noise = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE), np.uint8)
    (tmp_path / "parts" / "train" / "good" / "dirty.png").write_bytes(encode_png(noise))
    order = FolderOrder(
        tmp_path / "parts", tmp_path / "model", "plate", "certified", "cpu", None, 0,
        Grid.square(SIDE), "gray", 0.1, guard=guard,
    )  # fmt: skip
    card, notes = fit_folder(order, BuildContext(tmp_path, lambda phase, done, of: None, ManualClock()))
    said = [note for note in notes if "look at them: dirty.png; --no-guard" in note]
    assert [note[: len("1 of 41 ")] for note in said] == ["1 of 41 "] * guard
    assert ("of the normals dirty.png" in card.lineage.get("left_out", "")) is guard
