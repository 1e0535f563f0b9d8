"""A loop that commits to SQL keeps what the Kafka loop keeps: order, once, dead letters, storms told."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from steadyline.kafka import metrics
from steadyline.kafka.broker import Record
from steadyline.kafka.loop.dlq_limit import StormLimit
from steadyline.kafka.memory.log import CommitFault
from steadyline.telemetry.instrument import Backend, Instrument
from tests.support.handlers import Prompt
from tests.support.loop_bench import AT_ONCE, DEAD_LETTERS, TOPICS, LoopBench, turns
from tests.support.sql_loop import (
    INPUTS,
    PER_TRANSACTION,
    IncidentDatabase,
    IncidentHandler,
    SqlLoop,
)

GOOD = [value.decode().upper() for value in INPUTS if not value.startswith(b"bad")]
BAD = [value for value in INPUTS if value.startswith(b"bad")]
STORM = replace(DEAD_LETTERS, storm=StormLimit(fraction=0.5, messages=10))


class Died(BaseException):
    """The process ends here: nothing of the loop runs any more."""


class SqlBench:
    """An in-memory broker and a database file; each loop is a new process as far as they can tell."""

    def __init__(self, path: Path) -> None:
        self.bench = LoopBench()
        self.path = path
        self._databases: list[IncidentDatabase] = []

    def database(self, at: Callable[[str], None] = lambda _: None) -> IncidentDatabase:
        self._databases.append(IncidentDatabase(self.path, at))
        return self._databases[-1]

    def loop(self, handler: IncidentHandler, at: Callable[[str], None] = lambda _: None) -> SqlLoop:
        worker = self.bench.broker.worker("g", "a", [TOPICS.frames.name])
        return SqlLoop(worker, handler, self.database(at), STORM, self.bench.clock)

    def letters(self) -> list[Record]:
        return list(self.bench.broker.reader("test").read(TOPICS.dead_letters.name))

    def close(self) -> None:
        for database in self._databases:
            database.close()


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[SqlBench]:
    made = SqlBench(tmp_path / "incidents.db")
    yield made
    made.close()


def advance(loop: SqlLoop, handler: IncidentHandler, count: int, finish: int = 40) -> None:
    for _ in range(count):
        loop.turn()
        handler.finish(finish)


@pytest.fixture
def counted() -> Iterator[Counter[tuple[str, str]]]:
    """What the loop's counters by reason have counted."""
    found: Counter[tuple[str, str]] = Counter()

    def keep(instrument: Instrument) -> Backend:
        def add(value: float, attributes: Mapping[str, str]) -> None:
            found[instrument.name, attributes["reason"]] += int(value)

        return add

    watched = metrics.DEAD_LETTERS, metrics.HELD
    for instrument in watched:
        instrument.backend = keep(instrument)
    yield found
    for instrument in watched:
        instrument.backend = None


def test_a_process_killed_between_rows_and_commit_leaves_neither_and_the_next_writes_each_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "incidents.db"

    def run(killed_in: int) -> int:
        module = "tests.support.sql_loop"
        return subprocess.run([sys.executable, "-m", module, path, str(killed_in)], timeout=60).returncode

    assert run(2) == -9
    database = IncidentDatabase(path)
    first = [value.decode().upper() for value in INPUTS[:PER_TRANSACTION] if not value.startswith(b"bad")]
    assert (database.values(), database.offsets()) == (first, {0: PER_TRANSACTION})
    assert run(0) == 0
    assert (database.values(), database.offsets()) == (GOOD, {0: len(INPUTS)})
    database.close()


@pytest.mark.parametrize("moment", ["written", "committed"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_loop_that_dies_at_any_moment_loses_and_doubles_neither_row_nor_letter(
    sql: SqlBench, moment: str, nth: int
) -> None:
    sql.bench.publish(*INPUTS)
    seen: list[str] = []

    def die(now: str) -> None:
        seen.append(now)
        if seen.count(moment) == nth:
            raise Died

    handler = IncidentHandler()
    with pytest.raises(Died):
        advance(sql.loop(handler, die), handler, 40)
    handler = IncidentHandler()
    advance(sql.loop(handler), handler, 40)
    assert sql.database().values() == GOOD
    assert [letter.value for letter in sql.letters()] == BAD


@pytest.mark.parametrize("faults", [("aborted",), ("aborted", "aborted")])
def test_letters_that_could_not_be_written_are_written_in_the_next_transaction(
    sql: SqlBench, faults: tuple[CommitFault, ...]
) -> None:
    sql.bench.publish(*INPUTS)
    sql.bench.broker.fail_commits(*faults)
    handler = IncidentHandler()
    advance(sql.loop(handler), handler, 40)
    assert sql.database().values() == GOOD
    assert [letter.value for letter in sql.letters()] == BAD


def test_order_is_kept_per_partition_whatever_is_finished_first(sql: SqlBench) -> None:
    sent = {number: [b"p%d-%d" % (number, n) for n in range(18)] for number in range(3)}
    handler = IncidentHandler(room=5)
    loop = sql.loop(handler)
    for begin in (0, 9):  # the second half while the first has paused its partition
        for number, values in sent.items():
            sql.bench.publish(*values[begin : begin + 9], partition=number)
        advance(loop, handler, 2, finish=2)
    advance(loop, handler, 80, finish=2)
    for number, values in sent.items():
        assert sql.database().values(number) == [value.decode().upper() for value in values]


def test_a_locked_database_is_waited_out_with_growing_delays_and_nothing_is_skipped(
    sql: SqlBench, counted: Counter[tuple[str, str]]
) -> None:
    sql.bench.publish(*INPUTS)
    handler = IncidentHandler()
    loop, other = sql.loop(handler), sql.database()
    held = (metrics.HELD.name, "store_unavailable")
    with other.locked():
        for _ in range(300):
            advance(loop, handler, 1)
            sql.bench.clock.advance(timedelta(milliseconds=100))
    assert 30 / 8 <= counted[held] <= 10  # 30 s: half of 1, 2, 4 and then 8 s at least between two attempts
    sql.bench.clock.advance(timedelta(seconds=8))
    advance(loop, handler, 40)
    assert other.values() == GOOD
    assert [letter.value for letter in sql.letters()] == BAD


def test_an_outage_of_the_broker_is_waited_out_as_in_the_kafka_loop(
    sql: SqlBench, counted: Counter[tuple[str, str]]
) -> None:
    sql.bench.publish(b"1")
    handler = IncidentHandler()
    loop = sql.loop(handler)
    sql.bench.broker.set_away(True)
    advance(loop, handler, 3)
    assert sql.bench.clock.monotonic() == pytest.approx(0.6)
    assert counted[metrics.HELD.name, "broker_unavailable"] == 3
    sql.bench.broker.set_away(False)
    advance(loop, handler, 3)
    assert sql.database().values() == ["1"]


@pytest.mark.parametrize("is_prompt", [True, False], ids=["refused at once", "refused while working"])
@pytest.mark.parametrize("inputs", [INPUTS, [b"bad"] * 40], ids=["some poison", "a storm"])
def test_poison_and_storms_tell_the_same_as_in_the_kafka_loop(
    sql: SqlBench, counted: Counter[tuple[str, str]], inputs: list[bytes], is_prompt: bool
) -> None:
    def told(bench: LoopBench, run: Callable[[], None]) -> tuple[list[Any], dict[str, int], list[Any]]:
        """Return letters, counts and log lines, a storm's among them."""
        bench.publish(*inputs)
        counted.clear()
        with capture_logs() as lines:
            run()
        letters = [
            (letter.partition, letter.key, letter.value, letter.headers)
            for letter in bench.broker.reader("test").read(TOPICS.dead_letters.name)
        ]
        refused = {reason: n for (name, reason), n in counted.items() if name == metrics.DEAD_LETTERS.name}
        return letters, refused, lines

    kafka = LoopBench(replace(AT_ONCE, dead_letters=STORM, transaction_messages=PER_TRANSACTION))
    expected = told(kafka, lambda: turns(kafka.loop(Prompt(TOPICS.scores.name)), 40))
    handler = IncidentHandler(is_prompt=is_prompt)
    found = told(sql.bench, lambda: advance(sql.loop(handler), handler, 40))
    assert found == expected
    assert len(sql.letters()) == (len(inputs) if inputs[0] == b"bad" else len(BAD))
    assert any("storm" in line["event"] for line in found[2]) == (inputs[0] == b"bad")
