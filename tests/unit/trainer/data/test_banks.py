"""A bank is made once, and what Redis lost comes back byte for byte."""

import uuid
from dataclasses import replace

import numpy as np
import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import BankUnavailable, PackageRejected
from steadyline.store import Store
from tests.support.snapshots import Speckle, a_snapshot, bank_spec
from trainer.data.banks import (
    Banks,
    HeldOutCache,
    entries_digest,
    held_out_frames,
    newest_manifest,
)


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def test_a_bank_is_made_once_and_then_read(store: Store) -> None:
    maker, bank = Speckle(), MemoryBank()
    banks = Banks(bank, store, maker, ManualClock())
    first, entries = banks.ensure(bank_spec(store, a_snapshot()), a_snapshot())
    second, again = banks.ensure(bank_spec(store, a_snapshot()), a_snapshot())
    assert maker.asked == 1
    assert (first, entries) == (second, again)
    assert first.version == 1


def test_a_lost_bank_is_made_again_byte_for_byte_from_the_store_alone(store: Store) -> None:
    maker = Speckle()
    first, entries = Banks(MemoryBank(), store, maker, ManualClock()).ensure(
        bank_spec(store, a_snapshot()), a_snapshot()
    )
    empty = MemoryBank()
    rebuilt = Banks(empty, store, maker, ManualClock()).rebuild("cell")
    assert rebuilt == first
    assert entries_digest(empty.read("cell", 1)) == entries_digest(entries) == first.digest


def test_new_normals_make_a_new_version(store: Store) -> None:
    bank = MemoryBank()
    banks = Banks(bank, store, Speckle(), ManualClock())
    banks.ensure(bank_spec(store, a_snapshot(30)), a_snapshot(30))
    second, _ = banks.ensure(bank_spec(store, a_snapshot(40)), a_snapshot(40))
    assert second.version == 2
    current = bank.current("cell")
    assert current is not None
    assert current.version == 2


def test_a_damaged_bank_is_noticed_and_made_again(store: Store) -> None:
    maker, bank = Speckle(), MemoryBank()
    banks = Banks(bank, store, maker, ManualClock())
    manifest, entries = banks.ensure(bank_spec(store, a_snapshot()), a_snapshot())
    bank.write(manifest, [replace(entries[0], acceptance=0.9), *entries[1:]])
    _, mended = banks.ensure(bank_spec(store, a_snapshot()), a_snapshot())
    assert mended == entries
    assert maker.asked == 2


def test_code_that_draws_otherwise_makes_a_new_version_and_not_another_bank_of_the_same_number(
    store: Store,
) -> None:
    maker, bank = Speckle(), MemoryBank()
    Banks(bank, store, maker, ManualClock()).ensure(bank_spec(store, a_snapshot()), a_snapshot())
    maker.strength = 20
    assert Banks(MemoryBank(), store, maker, ManualClock()).rebuild("cell").version == 2


def test_a_product_without_a_bank_says_what_makes_one(store: Store) -> None:
    with pytest.raises(BankUnavailable, match="the first training makes it"):
        Banks(MemoryBank(), store, Speckle(), ManualClock()).rebuild("cell")


def test_normals_that_were_changed_in_the_store_are_refused(store: Store) -> None:
    banks = Banks(MemoryBank(), store, Speckle(), ManualClock())
    made_of = bank_spec(store, a_snapshot())
    banks.ensure(made_of, a_snapshot())
    store.put(made_of.snapshot_uri.removeprefix(store.uri("")), a_snapshot(31).pack())
    with pytest.raises(PackageRejected, match="does not match its digest"):
        banks.rebuild("cell")


def test_normals_that_are_gone_are_said_to_be_missing(store: Store) -> None:
    banks = Banks(MemoryBank(), store, Speckle(), ManualClock())
    made_of = bank_spec(store, a_snapshot())
    banks.ensure(made_of, a_snapshot())
    store.delete("snapshots/cell")
    with pytest.raises(PackageRejected, match="is missing"):
        banks.rebuild("cell")


def test_known_frames_are_those_no_training_saw(store: Store) -> None:
    snapshot = a_snapshot()
    manifest, entries = Banks(MemoryBank(), store, Speckle(), ManualClock()).ensure(
        bank_spec(store, snapshot), snapshot
    )
    known = held_out_frames(entries, snapshot, manifest.channels)
    assert len(known.anomalies) == len(known.normals) == int(snapshot.held_out.sum())
    np.testing.assert_array_equal(known.normals, snapshot.pictures[snapshot.held_out])


def test_known_frames_follow_the_bank_and_are_none_without_one(store: Store) -> None:
    bank = MemoryBank()
    known = HeldOutCache(bank, store, "cell")
    assert known.held_out() is None
    Banks(bank, store, Speckle(), ManualClock()).ensure(bank_spec(store, a_snapshot()), a_snapshot())
    first = known.held_out()
    assert first is not None
    assert known.held_out() is first
    assert newest_manifest(store, "cell") == bank.current("cell")
