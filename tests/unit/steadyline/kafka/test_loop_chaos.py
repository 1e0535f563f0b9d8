"""Nothing is lost, doubled or reordered, whatever fails and in whatever order."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from steadyline.kafka.loop.in_hand import QueueLimits
from steadyline.kafka.loop.stream_loop import StreamLoop
from tests.support.handlers import ScriptedHandler
from tests.support.loop_bench import AT_ONCE, STOP, TOPICS, LoopBench

STEPS = st.sampled_from(
    ["publish", "poison", "turn", "turn", "turn", "finish", "finish", "join", "join", "leave", "abort",
     "unwritten", "written", "outage"]
)  # fmt: skip


class Chaos:
    """Three instances that come, work, fail and go; everything else is drawn."""

    def __init__(self) -> None:
        self.bench = LoopBench(replace(AT_ONCE, queues=QueueLimits(high=6, low=3), transaction_messages=5))
        self.sent: dict[int, list[bytes]] = {number: [] for number in range(3)}
        self.members: dict[int, tuple[StreamLoop, ScriptedHandler, Callable[[], None]]] = {}

    def step(self, name: str, number: int, index: int) -> None:
        match name:
            case "publish" | "poison":
                self.publish(number, b"bad" if name == "poison" else b"v")
            case "join":
                self.join(number)
            case "leave" if number in self.members:
                self.members.pop(number)[2]()
            case "turn" if number in self.members:
                self.members[number][0].turn(STOP)
            case "finish" if number in self.members:
                self.members[number][1].finish(index)
            case "abort":
                self.bench.broker.fail_commits("aborted")
            case "unwritten":
                self.bench.broker.fail_commits("broken_before")
            case "written":
                self.bench.broker.fail_commits("broken_after")
            case "outage" if number in self.members:
                self.bench.broker.set_away(True)
                self.members[number][0].turn(STOP)
                self.bench.broker.set_away(False)

    def publish(self, partition: int, kind: bytes) -> None:
        value = b"%s%d" % (kind, len(self.sent[partition]))
        self.sent[partition].append(value)
        self.bench.publish(value, partition=partition)

    def join(self, number: int) -> None:
        """Take the place of whoever had this instance name."""
        handler = ScriptedHandler(TOPICS.scores.name, room=4)
        worker = self.bench.broker.worker("g", f"w{number}", [TOPICS.frames.name])
        bench = self.bench
        loop = StreamLoop(worker, handler, bench.policy, bench.clock)
        self.members[number] = (loop, handler, worker.close)

    def drain(self) -> None:
        if not self.members:
            self.join(0)
        for _ in range(60):
            for loop, handler, _close in self.members.values():
                loop.turn(STOP)
                handler.finish_all()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(0, 2), st.integers(0, 7)), max_size=80))
def test_nothing_is_lost_doubled_or_reordered_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    chaos = Chaos()
    for step in steps:
        chaos.step(*step)
    chaos.drain()
    for partition, sent in chaos.sent.items():
        good = [value.upper() for value in sent if value.startswith(b"v")]
        poison = [value for value in sent if value.startswith(b"bad")]
        assert chaos.bench.read(partition=partition) == good
        assert chaos.bench.values(TOPICS.dead_letters.name, partition) == poison
