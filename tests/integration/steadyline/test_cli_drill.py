"""The drills on a line with a real scorer: all is refused, the line goes on, and its true model is back."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.models import Contrast, a_plain_picture
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers


@pytest.fixture
def line(tmp_path: Path, addresses: Addresses) -> Iterator[ScorerLine]:
    made = ScorerLine(tmp_path, addresses)
    made.put_in_service()
    made.start("s1")
    made.send(8)
    made.until_scored(8)
    yield made
    made.close()


class Traffic(threading.Thread):
    """Frames of a camera that go on while a drill runs."""

    def __init__(self, line: ScorerLine) -> None:
        super().__init__(daemon=True)
        self._line, self._stop_event = line, threading.Event()

    @override
    def run(self) -> None:
        while not self._stop_event.wait(0.1):
            self._line.send_picture("east-0", encode_png(a_plain_picture(32)))
            self._line.flush()

    def stop(self) -> None:
        self._stop_event.set()
        self.join()


@pytest.fixture
def traffic(line: ScorerLine) -> Iterator[Traffic]:
    made = Traffic(line)
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("drill", ["poison", "flood"])
def test_a_line_refuses_what_a_drill_writes_and_scores_its_own_frames(
    line: ScorerLine, traffic: Traffic, drill: str
) -> None:
    status, answer = line.ask("drill", drill, "--yes")
    assert (status, answer["healthy"]) == (EXIT_OK, True), answer
    assert "were scored meanwhile" in answer["findings"][-1]["found"]
    assert line.started[0].is_alive


def test_after_a_blinding_the_line_judges_by_its_true_threshold(line: ScorerLine, traffic: Traffic) -> None:
    true = Contrast(gain=1).event_model(1).calibrations["*"].threshold
    _, answer = line.ask("drill", "blind", line.product, "--within", "5", "--yes")
    ended = datetime.now(UTC)
    assert {finding["state"] for finding in answer["findings"]} <= {"ok", "failed"}, answer

    def is_true_again() -> bool:
        before = len(line.records)
        line.read()
        fresh = {score.threshold for score in line.scores()[before:]}
        return fresh == {true} and line.scores()[-1].scored_at > ended

    eventually(is_true_again, 60, "a frame after the drill that is judged by the true threshold")
    records = line.read_topic(line.topics.model_events.name)
    of_product = [record.value for record in records if record.key == line.product.encode()]
    assert (len(of_product), of_product[0]) == (3, of_product[-1]), (
        "the true one, the forged one, the true one"
    )
    assert [record.value for record in records if record.key != line.product.encode()][-1] is None


def test_nothing_is_attacked_before_a_person_agrees(line: ScorerLine) -> None:
    ends = line.broker.end_offsets([line.topics.frames.name, line.topics.model_events.name])
    for verb in (["poison"], ["flood"], ["blind", line.product]):
        asked = subprocess.run(
            [sys.executable, "-P", "-m", "steadyline", "drill", *verb, "--line", str(line.line_file)],
            env=line.environment(), input="n\n", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert asked.returncode != EXIT_OK
        assert "Begin?" in asked.stdout
    assert line.broker.end_offsets([line.topics.frames.name, line.topics.model_events.name]) == ends
