"""Drawn pairs as one file: what comes back is what was drawn, and nothing else is taken for it."""

import json
import uuid

import numpy as np
import pytest

from steadyline.errors import PackageRejected
from steadyline.store import Store
from tests.support.snapshots import a_snapshot
from trainer.data import drawn_pairs as room
from trainer.data.banks import BankStore
from trainer.data.drawn_pairs import DrawnPair, DrawnPairs

SHAPE = (8, 8, 1)
SNAPSHOT = a_snapshot()
HELD_OUT = [int(place) for place in np.flatnonzero(SNAPSHOT.held_out)]


def some_pairs(size: int = 2) -> DrawnPairs:
    pairs = []
    for place in HELD_OUT:
        before = SNAPSHOT.pictures[place]
        after = before.copy()
        after[3 : 3 + size, 5 : 5 + size] ^= 128
        pairs.append(DrawnPair.of(place, before, after))
    return DrawnPairs.of(SHAPE, pairs)


def packed(places: object, pixels: bytes, shape: object = SHAPE) -> bytes:
    return json.dumps({"shape": shape, "places": places}).encode() + b"\n" + pixels


def test_what_was_drawn_comes_back_and_only_the_change_is_kept() -> None:
    drawn = some_pairs()
    data = drawn.pack()
    assert len(data.partition(b"\n")[2]) == 4 * len(HELD_OUT)
    again = DrawnPairs.unpack(data, SNAPSHOT)
    assert again.pack() == data
    for pair in again.pairs:
        normal = SNAPSHOT.pictures[pair.normal]
        different = np.argwhere(pair.drawn_into(normal) != normal)
        assert (different.min(axis=0).tolist(), different.max(axis=0).tolist()) == ([3, 5, 0], [4, 6, 0])


def test_a_defect_that_the_resize_hides_is_a_pair_of_equal_pictures() -> None:
    normal = SNAPSHOT.pictures[HELD_OUT[0]]
    data = DrawnPairs.of(SHAPE, [DrawnPair.of(HELD_OUT[0], normal, normal.copy())]).pack()
    (pair,) = DrawnPairs.unpack(data, SNAPSHOT).pairs
    assert np.array_equal(pair.drawn_into(normal), normal)


def test_one_file_holds_so_many_bytes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_PIXEL_BYTES", 3 * 4)
    assert len(some_pairs().pairs) == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nothing", "cannot be read"),
        (b"", "cannot be read"),
        (packed([[HELD_OUT[0], 0, 0, 1]], b"1"), "cannot be read"),
        (packed([], b"", [8, 8, 3]), r"their normals of \(8, 8, 1\)"),
        (packed([[HELD_OUT[0], 0, 0, 1, 2]], b"1"), "1 bytes of pixels and name 2"),
        (packed([[HELD_OUT[0], 7, 0, 2, 1]], b"12"), "lies in no held-out frame"),
        (packed([[HELD_OUT[0], 0, -1, 1, 1]], b"1"), "lies in no held-out frame"),
        (packed([[HELD_OUT[0], 4, 4, -2, -2]], b"1234"), "lies in no held-out frame"),
        (packed([[HELD_OUT[0], 0, 0, 10**30, 1]], b"1"), "cannot be read|no held-out frame"),
        (packed([[len(SNAPSHOT.pictures), 0, 0, 1, 1]], b"1"), "lies in no held-out frame"),
        (packed([[-1, 0, 0, 1, 1]], b"1"), "lies in no held-out frame"),
        (packed([[int(np.argmin(SNAPSHOT.held_out)), 0, 0, 1, 1]], b"1"), "lies in no held-out frame"),
        (packed([[HELD_OUT[0], 0, 0, 0, 0]] * 600, b""), "cannot be read"),
    ],
)
def test_what_is_no_file_of_pairs_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(PackageRejected, match=said):
        DrawnPairs.unpack(data, SNAPSHOT)


def test_another_file_under_their_name_is_refused() -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    kept = BankStore(store, "l")
    uri, digest = kept.put_snapshot("cell", some_pairs().pack())
    assert len(kept.drawn_pairs("cell", digest, SNAPSHOT).pairs) == len(HELD_OUT)
    store.put(store.key(uri), some_pairs(1).pack())
    with pytest.raises(PackageRejected, match="does not match its digest"):
        kept.drawn_pairs("cell", digest, SNAPSHOT)
    store.delete(store.key(uri))
    with pytest.raises(PackageRejected, match="is missing"):
        kept.drawn_pairs("cell", digest, SNAPSHOT)
