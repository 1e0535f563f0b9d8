"""A bank is made once, what Redis lost comes back byte for byte, and what a stranger wrote is no bank."""

import uuid
from dataclasses import replace

import numpy as np
import pytest

from steadyline.bank.entry import MOST_MANIFEST_BYTES, BankEntry, BankManifest
from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import BankUnavailable, PackageRejected
from steadyline.store import Store
from tests.support.snapshots import Speckle, a_snapshot, bank_spec
from trainer.data.banks import Banks, BankStore, HeldOutCache, entries_digest, held_out_frames


class BankWorks:
    """Banks of the product cell: a store, a Redis that can be lost, and a maker that counts."""

    def __init__(self) -> None:
        self.store = Store(f"memory://{uuid.uuid4().hex}")
        self.kept = BankStore(self.store, "line-1")
        self.bank, self.maker = MemoryBank(), Speckle()
        self.known: dict[str, str] = {}
        self.cache = HeldOutCache(self.bank, self.kept, "cell")

    @property
    def banks(self) -> Banks:
        return Banks(self.bank, self.kept, self.maker, ManualClock())

    def ensure(self, normals: int = 30) -> tuple[BankManifest, list[BankEntry]]:
        """Have a bank as a training has it, and know it from then on."""
        snapshot = a_snapshot(normals)
        manifest, entries = self.banks.ensure(bank_spec(self.kept, snapshot), snapshot, self.known)
        self.known[manifest.digest] = manifest.normals_digest
        return manifest, entries

    def lose(self) -> None:
        """Lose Redis."""
        self.bank = MemoryBank()
        self.cache = HeldOutCache(self.bank, self.kept, "cell")


@pytest.fixture
def works() -> BankWorks:
    return BankWorks()


def test_a_bank_is_made_once_and_then_read(works: BankWorks) -> None:
    first, entries = works.ensure()
    second, again = works.ensure()
    assert works.maker.asked == 1
    assert (first, entries) == (second, again)
    assert first.version == 1


def test_a_lost_bank_is_made_again_byte_for_byte_from_the_store_alone(works: BankWorks) -> None:
    first, entries = works.ensure()
    works.lose()
    assert works.banks.rebuild("cell", works.known) == first
    assert entries_digest(works.bank.read("cell", 1)) == entries_digest(entries) == first.digest


def test_new_normals_make_a_new_version(works: BankWorks) -> None:
    works.ensure(30)
    second, _ = works.ensure(40)
    assert second.version == 2
    current = works.bank.current("cell")
    assert current is not None
    assert current.version == 2


def test_a_damaged_bank_is_noticed_and_made_again(works: BankWorks) -> None:
    manifest, entries = works.ensure()
    works.bank.write(manifest, [replace(entries[0], acceptance=0.9), *entries[1:]])
    _, mended = works.ensure()
    assert mended == entries
    assert works.maker.asked == 2


def test_code_that_draws_otherwise_makes_a_new_version_and_not_another_bank_of_the_same_number(
    works: BankWorks,
) -> None:
    works.ensure()
    works.maker.strength = 20
    works.lose()
    assert works.banks.rebuild("cell").version == 2


def test_a_product_without_a_bank_says_what_makes_one(works: BankWorks) -> None:
    with pytest.raises(BankUnavailable, match="the first training makes it"):
        works.banks.rebuild("cell")


def test_normals_that_were_changed_in_the_store_are_refused(works: BankWorks) -> None:
    manifest, _ = works.ensure()
    works.store.put(f"snapshots/line-1/cell/{manifest.normals_digest}", a_snapshot(31).pack())
    with pytest.raises(PackageRejected, match="does not match its digest"):
        works.banks.rebuild("cell")


def test_normals_that_are_gone_are_said_to_be_missing(works: BankWorks) -> None:
    works.ensure()
    works.store.delete("snapshots/line-1/cell")
    with pytest.raises(PackageRejected, match="is missing"):
        works.banks.rebuild("cell")


def test_known_frames_are_those_no_training_saw(works: BankWorks) -> None:
    snapshot = a_snapshot()
    _, entries = works.ensure()
    known = held_out_frames(entries, snapshot)
    assert len(known.anomalies) == len(known.normals) == int(snapshot.held_out.sum())
    np.testing.assert_array_equal(known.normals, snapshot.pictures[snapshot.held_out])


def test_known_frames_follow_the_bank_and_are_none_without_one(works: BankWorks) -> None:
    assert works.cache.held_out(works.known) is None
    works.ensure()
    first = works.cache.held_out(works.known)
    assert first is not None
    assert works.cache.held_out(works.known) is first
    assert works.kept.newest("cell") == works.bank.current("cell")


def test_a_strangers_bank_is_never_watched_with(works: BankWorks) -> None:
    """Whole, with the right digest of its own entries: but nobody here has made it."""
    manifest, entries = works.ensure()
    blind = [replace(entry, picture_png=entries[0].picture_png) for entry in entries]
    works.bank.write(manifest.model_copy(update={"version": 9, "digest": entries_digest(blind)}), blind)
    assert works.cache.held_out(works.known) is None


def test_the_frames_in_memory_stay_while_a_training_has_put_its_own_bank_into_redis(works: BankWorks) -> None:
    works.ensure()
    known = dict(works.known)
    first = works.cache.held_out(known)
    works.ensure(40)
    assert works.cache.held_out(known) is first
    assert works.cache.held_out(works.known) is not first


@pytest.mark.parametrize("change", ["acceptance", "picture"])
def test_entries_that_are_not_the_known_ones_are_a_lost_bank(works: BankWorks, change: str) -> None:
    manifest, entries = works.ensure()
    other = replace(entries[0], acceptance=0.9)
    if change == "picture":
        other = replace(entries[0], picture_png=b"\x89PNG and nothing more")
    works.bank.write(manifest, [other, *entries[1:]])
    assert works.cache.held_out(works.known) is None


def test_where_a_manifest_in_redis_says_the_normals_are_is_not_believed(works: BankWorks) -> None:
    manifest, entries = works.ensure()
    stranger = a_snapshot(40).pack()
    uri, digest = works.kept.put_snapshot("cell", stranger)
    lie = {"normals_uri": uri, "normals_digest": digest, "channels": "rgb"}
    works.bank.write(manifest.model_copy(update=lie), entries)
    found = works.cache.held_out(works.known)
    assert found is not None
    np.testing.assert_array_equal(found.normals, a_snapshot().pictures[a_snapshot().held_out])


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b"[" * 9999, b'{"version": -1}', b'{"version": 1e400}']
)
@pytest.mark.parametrize(
    "name", ["00000009.json", "99999999.json", "999999999999.json", "x.json", "9/9.json"]
)
def test_rubbish_among_the_manifests_ends_no_training(works: BankWorks, name: str, content: bytes) -> None:
    first, _ = works.ensure()
    works.store.put(f"banks/line-1/cell/{name}", content)
    works.lose()
    assert works.banks.rebuild("cell", works.known) == first
    assert works.ensure()[0] == first


def test_a_strangers_manifest_is_neither_trained_with_nor_made_again(works: BankWorks) -> None:
    first, entries = works.ensure()
    forged = [replace(entry, transform="harmless") for entry in entries]
    lie = first.model_copy(update={"version": 7, "digest": entries_digest(forged)})
    works.kept.put(lie)
    works.bank.write(lie, forged)
    assert works.ensure() == (first, entries)
    assert works.banks.rebuild("cell", works.known) == first


def test_a_known_bank_of_a_strangers_normals_is_not_made_again(works: BankWorks) -> None:
    first, _ = works.ensure()
    uri, digest = works.kept.put_snapshot("cell", a_snapshot(40).pack())
    works.kept.put(first.model_copy(update={"version": 7, "normals_uri": uri, "normals_digest": digest}))
    works.lose()
    assert works.banks.rebuild("cell", works.known) == first


def test_two_lines_with_one_store_do_not_meet(works: BankWorks) -> None:
    first, _ = works.ensure()
    other = BankWorks()
    other.store, other.kept = works.store, BankStore(works.store, "line-2")
    other.ensure(40)
    assert works.kept.newest("cell") == first


def test_what_release_0_1_wrote_is_read_still(works: BankWorks) -> None:
    first, _ = works.ensure()
    for key in works.store.list("banks") + works.store.list("snapshots"):
        works.store.put(key.replace("/line-1/", "/"), works.store.get(key))
    for folder in ("banks/line-1", "snapshots/line-1"):
        works.store.delete(folder)
    works.lose()
    assert works.banks.rebuild("cell", works.known) == first


def test_a_manifest_of_any_size_in_the_store_is_passed_over(works: BankWorks) -> None:
    first, _ = works.ensure()
    junk = b'{"x":"' + b"x" * MOST_MANIFEST_BYTES + b'"}'
    whole = first.model_copy(update={"version": 99}).model_dump_json().encode()
    works.store.put("banks/line-1/cell/00000099.json", whole[:-1] + b"," + junk[1:])
    assert works.kept.newest("cell") == first
