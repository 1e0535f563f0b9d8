"""Which frames a training may see: the folder's, and stream frames whose pictures are what was scored."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.line import PictureSection, Product
from steadyline.picture import encode_png
from steadyline.store import Store
from trainer.data.normals import collect
from trainer.data.reservoir import Normal

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
    return Normal(f"east/7/{sequence:03}", "east", sequence, moment, uri, sha256(picture), 0.7, 3)


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
    kept = {int(source.id.rsplit("/", 1)[1]) for source in collect(a_product(), reservoir, store).sources}
    assert kept == set(range(30)) - {3, 5, 7}


def test_too_few_frames_are_refused_by_their_number(store: Store) -> None:
    with pytest.raises(InvalidConfiguration, match="5 different normal frames are too few"):
        collect(a_product(), [a_normal(store, sequence) for sequence in range(5)], store)
