"""Outputs that no topic takes: each is found among honest ones and costs its own input alone."""

from dataclasses import replace

import pytest

from steadyline.errors import ContractBroken
from tests.support.handlers import Inflating
from tests.support.loop_bench import TOPICS, LoopBench, turns

TOO_LARGE = TOPICS.scores.max_message_bytes + 1


@pytest.mark.parametrize("places", [{0}, {4}, {9}, {2, 3}, {0, 9}, set(range(10))])
def test_each_input_whose_output_is_refused_becomes_a_letter(places: set[int]) -> None:
    bench = LoopBench()
    values = [b"large%d" % n if n in places else b"v%d" % n for n in range(10)]
    bench.publish(*values)
    bench.publish(b"other", partition=1)
    loop = bench.loop(Inflating(TOPICS.scores.name, TOO_LARGE))
    turns(loop, 60)
    assert bench.read(partition=0) == [value.upper() for value in values if value.startswith(b"v")]
    assert bench.read(partition=1) == [b"OTHER"]
    assert bench.values(TOPICS.dead_letters.name) == [value for value in values if value.startswith(b"large")]
    bench.publish(b"next", b"one")
    turns(loop, 2)
    assert bench.read(partition=0)[-2:] == [b"NEXT", b"ONE"]


def test_where_not_even_a_short_letter_is_taken_the_loop_ends_and_says_where_to_look() -> None:
    bench = LoopBench()
    bench.broker.delete_topic(TOPICS.dead_letters.name)
    bench.broker.create_topics([replace(TOPICS.dead_letters, max_message_bytes=500)])
    bench.publish(b"bad" + bytes(1_000))
    loop = bench.loop(Inflating(TOPICS.scores.name, TOO_LARGE))
    with pytest.raises(ContractBroken, match="topics check"):
        turns(loop, 5)
