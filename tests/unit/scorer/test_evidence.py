"""What is kept as evidence, and where."""

import uuid
import zlib
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.evidence import EvidenceWriter, is_kept
from steadyline.contracts.evidence import EvidenceKey
from steadyline.kafka.broker import Partition, Record
from steadyline.map_png import encode_map
from steadyline.picture import PictureLimits, encode_png, inspect
from steadyline.store import Store
from tests.support.bench_top import a_record
from tests.support.models import a_defective_picture, a_plain_picture


def a_place(offset: int, timestamp_ms: int = 1_796_000_000_000) -> Record:
    """Return a record of a producer's at an offset."""
    return Record(Partition("frames.v1", 0), offset, b"c1", b"", (), timestamp_ms)


@given(st.integers(0), st.floats(0, 1))
def test_an_anomalous_frame_is_always_kept(offset: int, sample: float) -> None:
    assert is_kept("anomalous", a_place(offset), sample)


@given(st.integers(0))
def test_a_sample_of_nothing_keeps_none_and_of_all_keeps_every_normal_frame(offset: int) -> None:
    assert not is_kept("normal", a_place(offset), 0.0)
    assert is_kept("normal", a_place(offset), 1.0)


@pytest.mark.parametrize("apart_ms", [0, 1, 40, 1000])
def test_about_the_wanted_fraction_of_normal_frames_is_kept(apart_ms: int) -> None:
    places = (a_place(number, 1_796_000_000_000 + apart_ms * number) for number in range(20_000))
    assert 300 <= sum(is_kept("normal", place, 0.02) for place in places) <= 500


def test_what_a_producer_writes_does_not_decide_whether_its_frame_is_kept() -> None:
    """Fifty ids that a hash of them would keep are kept as often as any others."""
    ids = (f"c1/1/{number}" for number in range(1, 1_000_000))
    ground = list(islice((name for name in ids if zlib.crc32(name.encode()) < 0.02 * (1 << 32)), 50))
    written = [replace(a_place(at), headers=(("ce_id", name.encode()),)) for at, name in enumerate(ground)]
    assert sum(is_kept("normal", record, 0.02) for record in written) <= 5


@pytest.mark.parametrize("other", [("south", "id-1"), ("north", "id-2")], ids=["line", "topic made anew"])
def test_neither_another_line_nor_a_topic_made_anew_writes_over_evidence(other: tuple[str, str]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    pictures = [encode_png(a_plain_picture(32)), encode_png(a_defective_picture(32))]
    kept = []
    for (line, topic_id), picture in zip([("north", "id-1"), other], pictures, strict=True):
        info = inspect(picture, PictureLimits(1 << 20, 1 << 20))
        writer = EvidenceWriter(store, line, topic_id)
        kept.append(
            writer.write("part", a_record(5, picture), info, encode_map(np.zeros((2, 2), np.float32)))
        )
    assert [store.get(evidence.picture_uri or "") for evidence in kept] == pictures
    places = [EvidenceKey.parse(store.key(evidence.map_uri or "")) for evidence in kept]
    assert [(place.partition, place.offset) for place in places] == [(0, 5), (0, 5)]
    assert places[0] != places[1]
