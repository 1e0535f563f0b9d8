"""Whatever dies, the line ends with one announced model, a bank in Redis and the live version on Triton."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_client

from steadyline.bank.codec import encode_entry
from steadyline.errors import InferenceUnavailable
from steadyline.exit_guard import EXIT_HUNG
from steadyline.inference import ModelRef
from steadyline.probe import probe
from steadyline.servers import LocalStack
from steadyline.service import EXIT_OK, STOP_GRACE, STOP_WITHIN
from tests.support.eventually import eventually
from tests.support.service_process import is_gone
from tests.support.stuck_store import STUCK, WAITING, made_known
from tests.support.trainer_line import STRICT, Orders, TrainerLine

pytestmark = pytest.mark.servers

STOPPED_AT_LAST = (STOP_WITHIN + STOP_GRACE).total_seconds() + 5  # some of them for a busy machine


@pytest.fixture
def untrained(
    factory: TrainerLine, breakable: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainerLine]:
    """The folder's line while nothing has trained it; another one when this test does not come first."""
    if factory.event() is None:
        yield factory
        return
    made = TrainerLine(tmp_path_factory.mktemp("factory"), breakable.addresses)
    yield made
    made.close()


def step_of(checkpoint: Path) -> int:
    """Return how far a checkpoint is; 0 without one."""
    return int(json.loads(checkpoint.read_bytes())["step"]) if checkpoint.exists() else 0


def bank_of(factory: TrainerLine) -> list[bytes]:
    """Return the bytes of every entry of the current bank."""
    manifest = factory.bank.current(factory.product)
    assert manifest is not None
    return [encode_entry(entry) for entry in factory.bank.read(factory.product, manifest.version)]


def test_a_first_training_outlives_its_trainer_its_process_and_the_broker(
    untrained: TrainerLine, breakable: LocalStack
) -> None:
    checkpoint = untrained.home / "work" / untrained.product / "checkpoint.json"
    first = untrained.work()
    training = first.until_training()
    eventually(lambda: step_of(checkpoint) == 40, 240, "a checkpoint")
    first.kill()
    eventually(lambda: is_gone(training), 30, "the training ends with its trainer")
    assert step_of(checkpoint) == 40
    written = checkpoint.stat().st_mtime_ns

    second = untrained.work()
    os.kill(second.until_training(), signal.SIGKILL)
    second.until_said("training_died", how=f"status {-signal.SIGKILL}")
    second.until_training(count=2)
    breakable.kafka.kill9()

    def is_resumed_and_done() -> bool:
        assert step_of(checkpoint) != 40 or checkpoint.stat().st_mtime_ns == written, "began anew"
        return checkpoint.with_name("outcome.json").exists()

    eventually(is_resumed_and_done, 240, "trained without a broker")
    second.until_said("held_back", reason="broker_unavailable")
    breakable.kafka.restart()
    event = untrained.wait_live(1)
    assert [(change.before, change.after) for change in event.changes] == [
        (None, "candidate"),
        ("candidate", "live"),
    ]
    told = [
        (each.live_version, len(each.changes), each.health is None, each.order is None)
        for each in untrained.events()
    ]
    assert len(set(told)) == len(told), "announced twice"
    eventually(lambda: not checkpoint.parent.exists(), 30, "the job's folder is gone")
    assert untrained.store.list("jobs") == []


def lose_everything(breakable: LocalStack) -> None:
    """Kill Redis; it comes back empty."""
    breakable.redis.kill9()
    breakable.redis.restart()


def write_over_everything(breakable: LocalStack) -> None:
    """Put a value of a foreign type in the place of every key, those of the leases too."""
    with redis_client.Redis.from_url(breakable.addresses.redis_url) as client:
        for key in client.keys("*"):
            client.delete(key)
            client.rpush(key, b"\xff{", b"-1")


@pytest.mark.parametrize("lose", [lose_everything, write_over_everything])
def test_a_redis_that_lost_or_was_given_other_values_gets_claim_and_bank_back_byte_for_byte(
    trained: TrainerLine, breakable: LocalStack, lose: Callable[[LocalStack], None]
) -> None:
    trainer = trained.work()
    eventually(lambda: trainer.series("trainer_claim_held_info") == [1], 60, "its claim")
    shown = trained.verb("bank", "show", "--json")
    entries = bank_of(trained)
    lose(breakable)
    assert trained.bank.current(trained.product) is None
    eventually(lambda: trainer.metric("trainer_bank_rebuilds_total") == 1, 180, "rebuilt")
    again = trained.verb("bank", "show", "--json")
    assert again.returncode == EXIT_OK, again.stderr
    assert json.loads(again.stdout) == json.loads(shown.stdout)
    assert json.loads(again.stdout)["banks"][trained.product]["trainer"].startswith("trainer-")
    assert bank_of(trained) == entries
    assert trainer.series("trainer_claim_held_info") == [1]
    assert trainer.stop() == EXIT_OK


def test_a_trainer_whose_store_hangs_ends_within_the_time_of_its_stop(
    breakable: LocalStack, tmp_path: Path
) -> None:
    """It waits for the store with the snapshot of its first training in hand."""
    store = tmp_path / "store"
    store.mkdir()
    (store / STUCK).touch()
    line = TrainerLine(tmp_path, breakable.addresses)
    line.write_line(line.line_file.read_text().replace("store: file://", "store: stuck://"))
    known = made_known(tmp_path / "known")
    trainer = line.start_service("trainer", environment={**known, "TRAINER_WORK": str(tmp_path / "work")})
    eventually((store / WAITING).exists, 60, "a call that hangs")
    assert trainer.stop(within=STOPPED_AT_LAST) in (EXIT_OK, EXIT_HUNG), trainer.tail()
    assert line.bank.holder(line.product) is None, "the lease is given back"
    assert not trainer.said("training_ordered")
    line.close()


def test_a_bank_is_rebuilt_by_hand_to_the_same_digest(trained: TrainerLine) -> None:
    before, entries = trained.bank.current(trained.product), bank_of(trained)
    assert before is not None
    done = trained.verb("bank", "rebuild", trained.product)
    assert done.returncode == EXIT_OK, done.stderr
    assert f"bank v{before.version}, {before.entries} pseudo-anomalies, sha256 {before.digest}" in done.stdout
    assert trained.bank.current(trained.product) == before
    assert bank_of(trained) == entries


def test_a_triton_that_comes_back_serves_the_live_version_again(
    trained: TrainerLine, breakable: LocalStack
) -> None:
    trained.work()
    live = trained.live()
    breakable.triton.kill9()
    with pytest.raises(InferenceUnavailable):
        probe(trained.product, live, trained.triton)
    breakable.triton.restart()
    ref = ModelRef(trained.product, live.version)
    eventually(lambda: trained.triton.is_ready(ref), 60, "the live version is loaded")
    probe(trained.product, live, trained.triton)
    assert trained.live() == live


def test_of_two_trainers_one_trains_and_the_other_takes_over_what_a_killed_one_left(
    trained: TrainerLine,
) -> None:
    live = trained.live()
    trained.rest()
    trained.orders_are(Orders(steps=10, gate=STRICT))
    first = trained.start("work-a")
    eventually(lambda: first.series("trainer_claim_held_info") == [1], 120, "the first one has the lease")
    second = trained.start("work-b")
    eventually(lambda: second.series("trainer_claim_held_info") == [0], 120, "the second one stands by")
    assert trained.models("retrain", trained.product, "--why", "ten steps").returncode == EXIT_OK
    training = first.until_training()
    version = int(first.said("training_started")[-1]["version"])
    assert not second.said("training_started")
    first.kill()
    second.until_said("training_started", version=version)
    assert is_gone(training)
    assert trained.bank.holder(trained.product) == (trained.home / "work-b" / "owner").read_text()
    refused = trained.wait_change(version, "rejected")
    assert refused.reason.split(":")[0] in ("clean_floor", "clean_worse", "robust_worse")
    assert refused.figures["candidate_clean_auroc"] < refused.figures["live_clean_auroc"]
    assert trained.live().version == live.version
    probe(trained.product, live, trained.triton)
    trained.rest()
