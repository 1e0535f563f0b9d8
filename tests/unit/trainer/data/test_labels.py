"""What is remembered of labels, incidents and frames: the newest, so many, and the same after a restart."""

import tracemalloc
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from steadyline.contracts.feedback import FrameLabel
from steadyline.contracts.frame import FrameId
from tests.support.labels import SAID, a_feedback, say
from tests.support.stream_scores import a_score, read, stream_rules
from trainer.data.incident_spans import MOST_SPANS, IncidentSpans
from trainer.data.labels import MOST_NOTE, Label, LabelBook
from trainer.data.reservoir import Reservoir

Said = tuple[int, FrameLabel]
labels = st.sampled_from(["good", "defect", "withdrawn"])


def a_label(number: int, label: FrameLabel = "defect", at: float = 0) -> Label:
    return Label.of(a_feedback(f"c1/7/{number}", label), SAID + timedelta(seconds=at))


def a_book(stream: list[Said], most: int) -> LabelBook:
    book = LabelBook(most)
    for at, (number, label) in enumerate(stream):
        book.put(a_label(number, label, at))
    return book


def compacted(stream: list[Said]) -> list[Said]:
    """Return what compaction leaves: the last message of each key, where it stands."""
    last = {number: place for place, (number, _) in enumerate(stream)}
    return [said for place, said in enumerate(stream) if last[said[0]] == place]


def standing(book: LabelBook) -> list[Said]:
    return [(label.frame.sequence, label.label) for label in book.all()]


@given(st.lists(st.tuples(st.integers(1, 9), labels), max_size=40), st.integers(1, 6))
def test_the_topic_leaves_the_same_labels_whether_it_was_compacted_or_not(
    stream: list[Said], most: int
) -> None:
    assert standing(a_book(stream, most)) == standing(a_book(compacted(stream), most))
    assert standing(a_book(stream, most)) == compacted(stream)[-most:]


def test_a_label_that_gives_way_is_counted() -> None:
    book = a_book([(1, "good"), (2, "good"), (3, "defect")], 2)
    assert (book.of("c1/7/1"), book.forgotten, book.revision) == (None, 1, 3)


def test_new_labels_are_frames_and_not_messages() -> None:
    book = a_book([(1, "good"), (1, "defect"), (2, "good"), (3, "defect"), (3, "withdrawn")], 9)
    assert book.newer_than(SAID - timedelta(seconds=1)) == 2
    assert book.newer_than(SAID + timedelta(seconds=1)) == 1


def test_a_long_note_is_cut() -> None:
    said = a_feedback("c1/7/1").model_copy(update={"note": "x" * 2_000})
    assert Label.of(said, SAID).note == "x" * MOST_NOTE


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=20), st.integers(1, 50))
def test_a_frame_is_held_exactly_when_some_incident_holds_it(
    incidents: list[tuple[int, int]], asked: int
) -> None:
    spans = IncidentSpans()
    for first, more in incidents:
        spans.add(FrameId("c1", 7, first), FrameId("c1", 7, first + more))
        assert not spans.add(FrameId("c1", 7, first), FrameId("c1", 7, first + more))
    inside = any(first <= asked <= first + more for first, more in incidents)
    assert spans.holds(FrameId("c1", 7, asked)) == inside
    assert not spans.holds(FrameId("c2", 7, asked))


def test_of_too_many_incidents_the_oldest_frames_are_forgotten() -> None:
    spans = IncidentSpans()
    for number in range(1, MOST_SPANS + 3):
        spans.add(FrameId("c1", 7, 3 * number), FrameId("c1", 7, 3 * number))
    assert spans.forgotten == 2
    assert [spans.holds(FrameId("c1", 7, 3 * number)) for number in (1, 2, 3)] == [False, False, True]


def test_cameras_from_the_wire_fill_no_memory_of_incidents() -> None:
    spans = IncidentSpans()
    for number in range(1_000):
        spans.add(FrameId(f"c{number}", 7, 1), FrameId(f"c{number}", 7, 2))
    assert spans.forgotten > 900


def test_pictures_and_labels_from_the_wire_fill_no_memory() -> None:
    reservoir = Reservoir(stream_rules())
    tracemalloc.start()
    for number in range(1, 6_001):
        read(reservoir, [a_score(number, p_value=0.01)], number)
        say(reservoir, f"c1/9/{number}", "good", number)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 12 << 20  # 2,000 sightings and 6,000 labels
    assert reservoir.sighting(FrameId("c1", 7, 1)) is None
    assert reservoir.sighting(FrameId("c1", 7, 6_000)) is not None
