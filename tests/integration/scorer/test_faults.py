"""Bad days on real servers: each ends with every frame scored once, in order."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steadyline.servers import Addresses, LocalStack
from steadyline.service import EXIT_FATAL, EXIT_OK
from tests.support.eventually import eventually
from tests.support.scorer_line import ScorerLine
from tests.support.servers import OwnStack
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.servers


def test_scorers_killed_within_transactions_lose_and_double_nothing(floor: ScorerLine) -> None:
    floor.put_in_service()
    scorers = {name: floor.start(name) for name in ("a", "b")}
    scorers["a"].until_ready()
    sent = 0
    for victim in ("a", "b", "a", "b"):
        floor.send(400)
        floor.until_scored(sent + 120)  # in the middle of it: a transaction every 25 ms
        sent += 400
        scorers[victim].kill()
        scorers[victim] = floor.start(victim)
    floor.until_accounted(90).assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert [scorer.stop() for scorer in scorers.values()] == [EXIT_OK, EXIT_OK]
    floor.assert_audit_intact()


def test_scorers_that_join_and_leave_lose_and_double_nothing(floor: ScorerLine) -> None:
    floor.put_in_service()
    first = floor.start("a")
    first.until_ready()
    floor.send(300)
    second = floor.start("b")
    floor.send(300)
    second.until_ready()
    third = floor.start("c")
    floor.send(300)
    third.until_ready()
    floor.send(300)
    assert first.stop() == EXIT_OK
    floor.send(300)
    assert second.stop() == EXIT_OK
    floor.send(300)
    floor.until_accounted(90).assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert third.stop() == EXIT_OK
    # one that is told to stop within a rebalance must not hold the group up until its time to drain is over
    assert "drain_incomplete" not in "".join(scorer.text() for scorer in (first, second, third))
    floor.assert_audit_intact()


def test_twenty_swaps_under_load_fail_no_request_and_mix_no_versions(floor: ScorerLine) -> None:
    floor.put_in_service()
    scorers = [floor.start("a"), floor.start("b")]
    for scorer in scorers:
        scorer.until_ready()
    for version in range(2, 22):
        floor.send(40)
        floor.put_in_service(version)

        def is_used(wanted: int = version) -> bool:
            floor.send(8)
            floor.read()
            is_known = all(scorer.metric("scorer_model_version") == wanted for scorer in scorers)
            return is_known and wanted in {score.model_version for score in floor.scores()[-40:]}

        eventually(is_used, 30)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({version: float(version) for version in range(1, 22)})
    assert sum(scorer.metric("scorer_inference_failures_total") for scorer in scorers) == 0
    assert [scorer.stop() for scorer in scorers] == [EXIT_OK, EXIT_OK]
    floor.assert_audit_intact()


def test_a_scorer_frozen_beyond_its_session_is_replaced_and_does_no_harm_when_it_goes_on(
    floor: ScorerLine,
) -> None:
    floor.put_in_service()
    frozen, other = floor.start("a"), floor.start("b")
    for scorer in (frozen, other):
        scorer.until_ready()

    def has_committed(scorer: ServiceProcess, before: float = 0.0) -> bool:
        floor.send(8)
        return scorer.metric("loop_transactions_total", outcome="committed") > before

    eventually(lambda: has_committed(frozen) and has_committed(other), 30, "both have partitions")
    floor.send(300)
    frozen.freeze()  # a transaction every 25 ms: one is cut in two, as often as not
    floor.send(100)
    floor.until_accounted(60)  # all partitions: the session of the frozen one has ended
    assert not other.readiness()
    frozen.thaw()
    before = frozen.metric("loop_transactions_total", outcome="committed")
    eventually(lambda: has_committed(frozen, before), 30, "it works again")
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert [frozen.stop(), other.stop()] == [EXIT_OK, EXIT_OK]
    floor.assert_audit_intact()


def test_of_two_scorers_with_one_name_one_is_fenced_and_the_other_goes_on(floor: ScorerLine) -> None:
    floor.put_in_service()
    twins = [floor.start("a")]
    twins[0].until_ready()
    floor.send(50)
    twins.append(floor.start("a"))

    def ended() -> list[ServiceProcess]:
        floor.send(8)
        return [twin for twin in twins if not twin.is_alive]

    (fenced,) = eventually(ended, 40, "one of the two ends")
    assert fenced.poll() == EXIT_FATAL
    assert '"reason": "fenced"' in fenced.text()
    assert "give each worker its own instance name" in fenced.text()
    (left,) = (twin for twin in twins if twin is not fenced)
    floor.send(50)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert left.stop() == EXIT_OK
    floor.assert_audit_intact()


@pytest.fixture
def fragile(
    tmp_path: Path, addresses: Addresses, own_stack: OwnStack
) -> Iterator[tuple[ScorerLine, LocalStack]]:
    """A floor whose Triton may be killed."""
    stack = own_stack("triton")
    own = stack.addresses
    mixed = replace(
        addresses,
        triton_grpc=own.triton_grpc,
        triton_http=own.triton_http,
        triton_admin_key=own.triton_admin_key,
        triton_repository=own.triton_repository,
    )
    floor = ScorerLine(tmp_path, mixed)
    yield floor, stack
    floor.close()
    stack.triton.kill9()  # one whose model was killed does not end by SIGTERM: 20 s of waiting for nothing


def stub_of(pid: int) -> int:
    """Return the process that serves the model: the newest child of Triton."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += (task / "children").read_text().split()
    stubs = [int(child) for child in children if "stub" in Path(f"/proc/{child}/cmdline").read_text()]
    return max(stubs)


def test_triton_killed_and_its_model_killed_hold_frames_until_they_are_back(
    fragile: tuple[ScorerLine, LocalStack],
) -> None:
    floor, stack = fragile
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    model = f"model:{floor.product}"

    floor.send(400)
    floor.until_scored(60)
    stack.triton.kill9()
    floor.send(100)
    eventually(lambda: scorer.readiness() == {model: "inference_unavailable"}, 20)
    stack.triton.restart()
    assert scorer.readiness()  # the server is ready, and has no model: only the canary knows
    floor.triton.load(floor.product)
    floor.until_accounted().assert_intact()
    scorer.until_ready()

    os.kill(stub_of(stack.triton.pid), signal.SIGKILL)
    floor.send(100)
    eventually(lambda: model in scorer.readiness(), 20)
    assert floor.triton.is_server_ready()  # Triton itself has not noticed
    (Path(floor.addresses.triton_repository) / floor.product / "1" / "model.onnx").touch()
    floor.triton.load(floor.product)
    floor.until_accounted().assert_intact()
    scorer.until_ready()

    floor.assert_scores_true({1: 1.0})
    assert scorer.metric("scorer_inference_failures_total") > 0
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()
