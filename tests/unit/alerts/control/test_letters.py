"""Dead letters page by page: each once, the newest first, whatever lies between them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.control.letters import (
    LAST_MS,
    DeadLetterDesk,
    LetterPlace,
    LetterQuery,
    ShownLetter,
    plain,
    safe_text,
)
from steadyline.clock import ManualClock
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Message, Partition
from steadyline.kafka.memory.broker import MemoryBroker

TOPICS = line_topics("t", 3)
START = ManualClock().now()


class LetterBox:
    """A topic of dead letters to which a test writes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(TOPICS))
        self.desk = DeadLetterDesk(self.broker, TOPICS, "t.scorer")
        self.written = 0

    def refuse(self, partition: int, reason: str = "undecodable_picture", seconds: int = 1) -> None:
        """Write a letter so many seconds after the one before."""
        self.clock.advance(timedelta(seconds=seconds))
        letter = DeadLetter(b"bytes", (), reason, "no picture", TOPICS.frames.name, partition, self.written)
        self.written += 1
        headers = letter.encode_headers()
        message = Message(TOPICS.dead_letters.name, b"east-1", letter.value, headers, partition)
        self.broker.publisher("test").publish(message, lambda _: None)

    def pages(self, query: LetterQuery | None = None, limit: int = 3) -> list[list[ShownLetter]]:
        """Read all pages, each cursor as text."""
        pages, after = [], None
        for _ in range(500):
            page = self.desk.page(query or LetterQuery(), after, limit)
            pages.append(page.letters)
            if page.next is None:
                return pages
            after = LetterPlace.parse(page.next.encode())
            assert after == page.next
        raise AssertionError("the pages do not end")


def sources(pages: Sequence[Sequence[ShownLetter]]) -> list[int]:
    found = [shown.letter.source for page in pages for shown in page]
    return [source.offset for source in found if source is not None]


def test_letters_come_newest_first_from_all_partitions_a_page_at_a_time() -> None:
    box = LetterBox()
    for n in range(20):
        box.refuse(n % 3)
    pages = box.pages()
    assert sources(pages) == list(reversed(range(20)))
    assert all(len(page) <= 3 for page in pages)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=80), st.integers(1, 5))
def test_every_letter_is_on_one_page_and_none_is_newer_than_the_one_before(
    written: list[tuple[int, int]], limit: int
) -> None:
    box = LetterBox()
    for partition, seconds in written:
        box.refuse(partition, seconds=seconds)
    letters = [shown.letter for page in box.pages(limit=limit) for shown in page]
    assert sorted(letter.place for letter in letters) == sorted({letter.place for letter in letters})
    assert len(letters) == len(written)
    times = [letter.at for letter in letters]
    assert times == sorted(times, reverse=True)


def test_letters_are_chosen_by_reason_topic_and_time() -> None:
    box = LetterBox()
    for n in range(30):
        box.refuse(n % 3, "rare" if n in (2, 17) else "frequent")
    assert sources(box.pages(LetterQuery(reason="rare"))) == [17, 2]
    assert sources(box.pages(LetterQuery(source_topic="t.other.v1"))) == []
    since = START + timedelta(seconds=26)
    assert sources(box.pages(LetterQuery(since=since))) == [29, 28, 27, 26, 25]


def test_a_letter_that_comes_between_two_pages_is_on_none_of_them() -> None:
    box = LetterBox()
    for _ in range(6):
        box.refuse(0)
    first = box.desk.page(LetterQuery(), None, 3)
    box.refuse(0)
    box.refuse(1)
    second = box.desk.page(LetterQuery(), first.next, 3)
    assert sources([first.letters, second.letters]) == [5, 4, 3, 2, 1, 0]


def test_letters_that_have_expired_are_the_end() -> None:
    box = LetterBox()
    for _ in range(10):
        box.refuse(0)
    box.broker.expire(Partition(TOPICS.dead_letters.name, 0), 6)
    assert sources(box.pages()) == [9, 8, 7, 6]


def test_letters_without_a_time_come_a_page_at_a_time_too() -> None:
    box = LetterBox()
    box.clock.set(datetime(1970, 1, 1, tzinfo=UTC) - timedelta(milliseconds=1))  # -1 is Kafka's word for it
    for _ in range(7):
        box.refuse(0, seconds=0)
    assert sources(box.pages()) == [6, 5, 4, 3, 2, 1, 0]


def test_there_are_no_letters() -> None:
    assert LetterBox().pages() == [[]]


@pytest.mark.parametrize("cursor", ["", "1", "1.", "1.2", "x.1-2", "1.1-2x", "-1.1-2", "1.1-2,3-4", "١.1-2"])
def test_a_text_that_is_no_cursor_names_no_place(cursor: str) -> None:
    assert LetterPlace.parse(cursor) is None


def test_a_place_of_a_far_time_begins_at_the_end() -> None:
    box = LetterBox()
    box.refuse(0)
    page = box.desk.page(LetterQuery(), LetterPlace(10 * LAST_MS, {0: 10**18, 7: 3}), 3)
    assert sources([page.letters]) == [0]


def test_bytes_and_strange_texts_become_plain_ones() -> None:
    assert safe_text(b"\xff\xd8a\\\n" + b"b" * 500) == "\\xff\\xd8a\\x5c\\x0a" + "b" * 155
    assert plain("a\x1b[31m\u202eb") == "a\ufffd[31m\ufffdb"
