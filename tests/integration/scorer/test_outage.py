"""The broker and Redis killed under a whole line: real producers, real scorers, the audit of its user."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.scorer_line import CAMERAS, ScorerLine
from tests.support.servers import OwnStack
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.servers

SOURCE = "synthetic:?fps=20&size=64&distinct=40"


def scored(scorers: list[ServiceProcess]) -> float:
    """Return how many frames these scorers have scored since they were started."""
    return sum(scorer.metric("scorer_frames_scored_total") for scorer in scorers)


def committed(scorers: list[ServiceProcess]) -> float:
    """Return how many transactions these scorers have committed."""
    return sum(scorer.metric("loop_transactions_total", outcome="committed") for scorer in scorers)


def until_settled(floor: ScorerLine) -> dict[str, Any]:
    """Return the audit's answer once nothing is in flight any more; it must be intact all the way."""

    def settled() -> dict[str, Any] | None:
        status, audit = floor.ask("audit")
        assert status == EXIT_OK, audit
        return None if audit["totals"]["in_flight"] else audit

    audit = eventually(settled, 60, "nothing in flight")
    assert audit is not None
    return audit


def test_a_broker_killed_under_producers_and_scorers_loses_and_doubles_nothing(
    tmp_path: Path, addresses: Addresses, own_stack: OwnStack
) -> None:
    stack = own_stack("kafka")
    own = replace(addresses, kafka_bootstrap=stack.addresses.kafka_bootstrap)
    floor = ScorerLine(tmp_path, own, SOURCE, "spool")
    floor.put_in_service()
    # 20 KB in flight: beyond that the frames of an outage lie on disk
    producers = floor.start_producers(PRODUCERS_IN_FLIGHT_BYTES="20000")
    scorers = [floor.start("a"), floor.start("b")]
    eventually(lambda: all(scorer.metric("scorer_frames_scored_total") for scorer in scorers), 60)

    stack.kafka.kill9()
    captured = producers.metric("producers_frames_captured_total")
    eventually(lambda: producers.metric("producers_frames_captured_total") > captured + 200, 30)
    assert producers.metric("producers_buffer_bytes") > 0
    assert all(scorer.is_live() for scorer in scorers)
    stack.kafka.restart()
    before = committed(scorers)
    eventually(lambda: committed(scorers) > before + 10, 30, "scores are committed again")

    assert producers.stop() == EXIT_OK
    audit = until_settled(floor)
    totals = audit["totals"]
    assert audit["intact"]
    assert totals["captured"] == totals["scored"] > 250
    assert (totals["missing"], totals["doubled"], totals["out_of_order"]) == (0, 0, 0)
    assert [entry["camera"] for entry in audit["cameras"]] == list(CAMERAS)
    assert [scorer.stop() for scorer in scorers] == [EXIT_OK, EXIT_OK]
    floor.close()


def test_without_redis_the_line_goes_on_scoring_and_the_doctor_says_that_it_is_away(
    tmp_path: Path, addresses: Addresses, own_stack: OwnStack
) -> None:
    stack = own_stack("redis")
    floor = ScorerLine(tmp_path, replace(addresses, redis_url=stack.addresses.redis_url), SOURCE, "block")
    floor.put_in_service()
    producers, scorer = floor.start_producers(), floor.start("a")
    eventually(lambda: scored([scorer]) > 20, 60)

    stack.redis.kill9()
    late = floor.start("b")  # one that starts meanwhile does not miss it either
    before = scored([scorer])
    eventually(lambda: scored([scorer]) > before + 100, 30, "scoring goes on")
    assert scorer.readiness() == {}
    assert producers.readiness() == {}
    status, report = floor.ask("doctor")
    failed = {item["check"]: item for item in report["findings"] if item["state"] == "failed"}
    assert status != EXIT_OK
    assert list(failed) == ["Redis"]
    assert failed["Redis"]["found"].startswith("bank_unavailable")
    assert "REDIS_URL" in failed["Redis"]["remedy"]
    eventually(lambda: scored([late]) > 0, 30)
    assert producers.stop() == EXIT_OK
    totals = until_settled(floor)["totals"]
    assert totals["captured"] == totals["scored"]
    assert [scorer.stop(), late.stop()] == [EXIT_OK, EXIT_OK]
    floor.close()
