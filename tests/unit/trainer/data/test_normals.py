"""Which frames a training may see: the folder's, and stream frames whose pictures are what was scored."""

import tracemalloc
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.grid import Grid
from steadyline.line import Line, PictureSection, Product, RetrainSection
from steadyline.picture import encode_png
from steadyline.store import Store
from tests.support.parts import defective_parts, good_parts
from tests.support.stream_scores import a_score
from trainer.data.normals import MOST_UNREADABLE, collect, distortion_note, is_own_picture
from trainer.data.sightings import Normal
from trainer.data.snapshot import unpack

SIZE = 16


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def a_picture(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), np.uint8))


def a_product(folder: Path | None = None) -> Product:
    return Product(picture=PictureSection(size=SIZE), normals=str(folder) if folder else None)


def a_normal(store: Store, sequence: int) -> Normal:
    """Put a frame into the store and return it as the reservoir has it."""
    picture = a_picture(1000 + sequence)
    uri = store.put(f"evidence/t.frames.v1/0/{sequence}/picture.png", picture)
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    return Normal(f"east/7/{sequence:03}", "east", moment, uri, sha256(picture), 3, moment)


def kept(product: Product, reservoir: list[Normal], store: Store) -> set[int]:
    """Return the numbers of the stream's frames that a snapshot has."""
    return {int(source.id.rsplit("/", 1)[1]) for source in collect(product, reservoir, store).sources}


def test_frames_of_the_folder_and_of_the_stream_are_taken_with_where_they_came_from(
    tmp_path: Path, store: Store
) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.png").write_bytes(a_picture(number))
    snapshot = collect(a_product(tmp_path), [a_normal(store, n) for n in range(10)], store)
    assert [source.camera for source in snapshot.sources] == [""] * 20 + ["east"] * 10
    stream = snapshot.sources[-1]
    assert (stream.id, stream.model_version) == ("east/7/009", 3)
    assert stream.uri == store.uri("evidence/t.frames.v1/0/9/picture.png")


def test_a_stream_frame_that_vanished_or_was_changed_in_the_store_is_left_out(store: Store) -> None:
    reservoir = [a_normal(store, sequence) for sequence in range(30)]
    store.delete("evidence/t.frames.v1/0/3")
    store.put("evidence/t.frames.v1/0/5/picture.png", a_picture(5))
    store.put("evidence/t.frames.v1/0/7/picture.png", b"")
    assert kept(a_product(), reservoir, store) == set(range(30)) - {3, 5, 7}


def test_a_picture_that_was_made_huge_in_the_store_is_not_read_to_its_end(store: Store) -> None:
    reservoir = [a_normal(store, sequence) for sequence in range(30)]
    store.put("evidence/t.frames.v1/0/3/picture.png", bytes(64 << 20))
    tracemalloc.start()
    assert kept(a_product(), reservoir, store) == set(range(30)) - {3}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


def test_whatever_a_writer_of_the_store_puts_in_place_of_a_picture_costs_that_picture(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    reservoir = [a_normal(store, sequence) for sequence in range(32)]
    pictures = [tmp_path / f"store/evidence/t.frames.v1/0/{n}/picture.png" for n in range(8)]
    for picture in pictures:
        picture.unlink()
    pictures[0].mkdir()
    pictures[1].symlink_to(pictures[1])
    pictures[2].symlink_to("nowhere")
    pictures[3].symlink_to("/proc/self/mem")
    pictures[4].write_bytes(b"")
    pictures[5].write_bytes(a_picture(0)[:-9])
    pictures[6].symlink_to("/dev/zero")
    pictures[7].parent.rmdir()
    pictures[7].parent.write_bytes(b"a file in place of the folder")
    assert kept(a_product(), reservoir, store) == set(range(8, 32))


def test_a_store_that_is_away_ends_the_collection_and_is_no_loss_of_normals(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    for number in range(30):
        (tmp_path / f"{number:02}.png").write_bytes(a_picture(number))
    reservoir = [a_normal(store, sequence) for sequence in range(3)]
    away = AwayStore(f"file://{tmp_path}/store")
    with pytest.raises(StoreUnavailable):
        collect(a_product(tmp_path), reservoir, away)


class AwayStore(Store):
    """A store that does not answer."""

    @override
    def get(self, uri_or_key: str, most_bytes: int | None = None) -> bytes:
        raise StoreUnavailable("no answer")

    @override
    def exists(self, uri_or_key: str) -> bool:
        raise StoreUnavailable("no answer")


class SlowStore(Store):
    """A store of which the evidence cannot be read; counts how often it was tried."""

    tried = 0

    @override
    def get(self, uri_or_key: str, most_bytes: int | None = None) -> bytes:
        self.tried += 1
        raise StoreUnavailable("no answer within 10 s")


def test_pictures_that_take_the_stores_deadline_each_do_not_hold_a_training_for_hours(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.png").write_bytes(a_picture(number))
    slow = SlowStore(f"memory://{uuid.uuid4().hex}")
    reservoir = [a_normal(slow, sequence) for sequence in range(200)]
    assert len(collect(a_product(tmp_path), reservoir, slow).sources) == 30
    assert slow.tried == MOST_UNREADABLE


OWN = "evidence/line-1/t.frames.v1/id/3/77/picture.jpg"


@pytest.mark.parametrize("store_url", ["memory://s", "file:///var/store", "s3://bucket/some/store"])
def test_the_picture_of_a_score_is_the_evidence_of_its_own_place_to_the_letter(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-nobody")  # a store without any is refused; this one is asked nothing
    store = Store(store_url)
    other_places = [
        "evidence/line-1/t.frames.v1/id/3/78/picture.jpg",
        "evidence/line-1/t.frames.v1/id/4/77/picture.jpg",
        "evidence/line-1/t.frames.v1/id/3/077/picture.jpg",
        "evidence/line-2/t.frames.v1/id/3/77/picture.jpg",
        "evidence/line-1/u.frames.v1/id/3/77/picture.jpg",
        "evidence/line-1/t.frames.v1/id/3/77/map.png",
        "evidence/line-1/t.frames.v1/id/3/77",
        "evidence/line-1/t.frames.v1/id/3/77/",
        "evidence/line-1/t.frames.v1/id/3/77/../77/picture.jpg",
        "evidence/line-1/t.frames.v1/../id/3/77/picture.jpg",
        "evidence/line-1/t.frames.v1/*/3/77/picture.jpg",
        "evidence//line-1/t.frames.v1/id/3/77/picture.jpg",
        "EVIDENCE/line-1/t.frames.v1/id/3/77/picture.jpg",
        "models/part/1/model.onnx",
        "evidence/line-1/t.frames.v1/id/3/77/picture.jpg\0",
        "evidence/line-1/t.frames.v1/id/3/77/picture.jpg\n",
        "",
    ]
    elsewhere = [f"http://elsewhere/{OWN}", f"{store_url}x/{OWN}", "file:///etc/passwd", f"{store_url}"]

    line = Line.model_validate({"line": "line-1", "topics": {"prefix": "t"}, "products": {"cell": {}}})

    def is_own(uri: str) -> bool:
        update = {"picture_uri": uri, "source_partition": 3, "source_offset": 77}
        return is_own_picture(store, line, a_score(1).model_copy(update=update))

    assert is_own(store.uri(OWN))
    assert is_own(store.uri(OWN.replace("jpg", "png")))
    assert [uri for uri in [*map(store.uri, other_places), *elsewhere] if is_own(uri)] == []


def test_a_defect_in_the_folder_is_left_out_and_named_unless_the_owner_knows_better(
    tmp_path: Path, store: Store
) -> None:
    parts = np.concatenate([good_parts(40, 2 * SIZE), defective_parts(1, 2 * SIZE)[0]])
    for number, part in enumerate(parts):
        (tmp_path / f"{number:02}.png").write_bytes(encode_png(part[..., 0]))
    guarded = collect(a_product(tmp_path), [], store)
    assert guarded.left_out == ("40.png",)
    assert "40.png" not in [source.id for source in guarded.sources]
    assert unpack(guarded.pack()).left_out == ("40.png",)
    trusting = a_product(tmp_path).model_copy(update={"retrain": RetrainSection(guard=False)})
    assert len(collect(trusting, [], store).sources) == 41


def test_too_few_frames_are_refused_by_their_number(store: Store) -> None:
    with pytest.raises(InvalidConfiguration, match="5 different normal frames are too few"):
        collect(a_product(), [a_normal(store, sequence) for sequence in range(5)], store)


def test_a_folder_whose_frames_the_grid_distorts_is_told_of(tmp_path: Path) -> None:
    for name, shape in (("a.png", (60, 60)), ("b.png", (120, 60))):
        (tmp_path / name).write_bytes(encode_png(np.zeros(shape, np.uint8)))
    note = distortion_note(tmp_path, PictureSection(grid=Grid(32, 32)))
    assert note is not None
    assert note.startswith("frames of 120 x 60 pixels (height x width) are stretched 2.00 times to the grid")
    assert distortion_note(tmp_path, PictureSection(grid=Grid(48, 32), max_pixels=4000)) is not None
    (tmp_path / "a.png").unlink()
    assert distortion_note(tmp_path, PictureSection(grid=Grid(64, 32))) is None
