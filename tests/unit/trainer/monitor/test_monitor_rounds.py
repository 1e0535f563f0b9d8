"""The turns of the watch: rounds when they are due, verdicts as events, days without frames or answers."""

import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.topics import line_topics
from steadyline.errors import ContractBroken, InferenceUnavailable
from steadyline.inference import Inferred, Pixels
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import GateSection, WatchSection
from steadyline.package import Packages
from steadyline.store import Store
from steadyline.triton_config import Serving
from tests.support.eventually import eventually
from tests.support.folder_triton import FolderTriton
from tests.support.graphs import a_graph
from tests.support.inference import MemoryInference, constant
from tests.support.model_history import a_history
from tests.support.snapshots import Speckle, a_snapshot, bank_spec
from trainer.data.banks import Banks, BankStore, HeldOutCache
from trainer.data.drawn_pairs import DRAWN_PAIRS, DrawnPair, DrawnPairs
from trainer.lifecycle.event_log import EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import Promoter
from trainer.lifecycle.repository import ModelRepository
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.monitor import LOOK_EVERY, REBUILD_AGAIN, ModelMonitor, MonitorInputs
from trainer.monitor.native_rounds import NativeRounds

EVERY = timedelta(minutes=1)
WITHIN = timedelta(milliseconds=50)  # for all answers of a round; the twin answers at once


def seeing(pictures: Pixels) -> Inferred:
    """A model that knows the normals by heart; its threshold is 1."""
    normals = {picture.tobytes() for picture in a_snapshot().pictures}
    scores = [0.5 if picture.tobytes() in normals else 2.0 for picture in pictures]
    return Inferred(np.array(scores, np.float32), np.zeros((len(pictures), 2, 2), np.float32))


class Lookout:
    """A watcher with everything real but Kafka, Redis and Triton."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.bank = ManualClock(), MemoryBank()
        self.store = Store(f"memory://{uuid.uuid4().hex}")
        self.bank_store = BankStore(self.store, "l")
        topics, broker = line_topics("t", 2), MemoryBroker(self.clock)
        broker.create_topics(list(topics))
        event_log = EventLog(
            broker.publisher("t"),
            lambda: broker.follower("t", [topics.model_events.name]),
            topics.model_events.name,
            EventSeal("l"),
            self.clock,
        )
        self.leases = Leases(self.bank, ["cell"], "a", self.clock)
        self.leases.renew()
        self.state = ProductState("cell", event_log, self.leases, self.clock)
        self.state.announce(a_history(1))
        self.inference = MemoryInference()
        self.inference.serve("cell", 1, seeing)
        held_out = HeldOutCache(self.bank, self.bank_store, "cell")
        drawn = NativeRounds(self.bank_store, "cell", self.clock)
        inputs = MonitorInputs(held_out, drawn, self.inference, WITHIN)
        self.bank_rebuild = BankRebuildProcess(folder / "no-line.yaml", "cell")
        self.monitor = ModelMonitor(
            self.state, WatchSection(every=EVERY), inputs, self.bank_rebuild, self.clock
        )
        self.triton = FolderTriton(folder)
        promoter = Promoter(ModelRepository(folder), self.triton, timedelta(seconds=5), Serving())
        self.rollout = Rollout(self.state, GateSection(), Packages(self.store, "l"), promoter, self.clock)

    def make_bank(self) -> None:
        manifest, _ = Banks(self.bank, self.bank_store, Speckle(), self.clock).ensure(
            bank_spec(self.bank_store, a_snapshot()), a_snapshot(), ()
        )
        self.bank_rebuild.made = {manifest.digest: manifest.normals_digest}

    def draw_pairs(self) -> str:
        """Let the live version name defects that ``seeing`` scores as their normals; returns their key."""
        snapshot = a_snapshot()
        places = [int(place) for place in np.flatnonzero(snapshot.held_out)]
        same = [DrawnPair.of(place, *snapshot.pictures[[place, place]]) for place in places]
        pairs = DrawnPairs.of((8, 8, 1), (same * 90)[:90])
        uri, digest = self.bank_store.put_snapshot("cell", pairs.pack())
        _, normals = self.bank_store.put_snapshot("cell", snapshot.pack())
        live = self.state.event.models[0]
        live = live.model_copy(update={"lineage": {"data": normals, DRAWN_PAIRS: digest}})
        self.state.announce(self.state.event.model_copy(update={"models": [live]}))
        return self.store.key(uri)

    def turn(self, after: timedelta = timedelta(0)) -> str | None:
        """Advance and turn; returns the reason of the newest verdict."""
        self.clock.advance(after)
        self.leases.renew()
        self.monitor.turn(self.rollout)
        health = self.state.event.health
        return None if health is None else health.reason


@pytest.fixture
def lookout(tmp_path: Path) -> Lookout:
    return Lookout(tmp_path)


def test_a_round_is_done_when_it_is_due_and_not_before(lookout: Lookout) -> None:
    lookout.make_bank()
    lookout.turn()
    asked = len(lookout.inference.asked)
    assert asked > 0
    lookout.turn(EVERY / 2)
    assert len(lookout.inference.asked) == asked
    lookout.turn(EVERY)
    assert len(lookout.inference.asked) > asked


@pytest.mark.parametrize("by", [timedelta(days=-400), timedelta(hours=-1), timedelta(days=400)])
def test_a_wall_clock_that_is_set_stops_no_round_and_makes_no_other(lookout: Lookout, by: timedelta) -> None:
    lookout.make_bank()
    lookout.turn()
    asked = len(lookout.inference.asked)
    lookout.clock.set(lookout.clock.now() + by)
    lookout.turn(EVERY / 2)
    assert len(lookout.inference.asked) == asked
    lookout.turn(EVERY / 2)
    assert len(lookout.inference.asked) > asked


def test_a_model_that_was_blind_from_birth_is_called_blind(lookout: Lookout) -> None:
    """Nothing passes its threshold, and its own figures say that this is how it was made."""
    lookout.make_bank()
    live = lookout.state.event.models[0].model_copy(update={"figures": {"detection_rate": 0.0}})
    lookout.state.announce(lookout.state.event.model_copy(update={"models": [live]}))

    def low(pictures: Pixels) -> Inferred:
        return Inferred(seeing(pictures).scores * 1e-3, seeing(pictures).maps)

    lookout.inference.serve("cell", 1, low)
    reasons = [lookout.turn(EVERY) for _ in range(30)]
    assert str(reasons[-1]).startswith("low_detection: 0 of")


def test_a_model_whose_answers_break_the_contract_is_blind_and_the_trainer_goes_on(lookout: Lookout) -> None:
    lookout.make_bank()

    def broken(pictures: Pixels) -> Inferred:
        raise ContractBroken("output 'map' is nothing")

    lookout.inference.serve("cell", 1, broken)
    assert lookout.turn() == "wrong_outputs: output 'map' is nothing"
    health = lookout.state.event.health
    assert health is not None
    assert (health.state, health.detection) == ("blind", {})


def test_a_model_that_went_blind_and_one_that_was_mended_are_told_once_each(lookout: Lookout) -> None:
    lookout.make_bank()
    lookout.inference.serve("cell", 1, constant(0.3))
    assert str(lookout.turn()).startswith("constant_scores")
    first = lookout.state.event
    lookout.turn(EVERY)
    assert lookout.state.event is first


@pytest.mark.parametrize("trouble", ["is_away", "is_slow"])
def test_a_version_that_does_not_answer_twice_is_loaded_again(
    lookout: Lookout, tmp_path: Path, trouble: str
) -> None:
    """It says so, or a client that does not keep its own deadline says nothing at all."""
    lookout.make_bank()
    (tmp_path / "cell" / "1").mkdir(parents=True)
    (tmp_path / "cell" / "1" / "model.onnx").write_bytes(a_graph("0.5"))
    setattr(lookout.inference, trouble, True)
    for _ in range(2):
        with pytest.raises(InferenceUnavailable):
            lookout.turn(EVERY)
    assert lookout.triton.loads == 1


def test_a_bank_whose_normals_are_gone_blinds_the_watch_and_stops_nothing(lookout: Lookout) -> None:
    lookout.make_bank()
    lookout.store.delete("snapshots/l/cell")
    assert lookout.turn() is None
    assert lookout.inference.asked == []


def test_a_rebuild_that_fails_is_not_tried_again_at_once(lookout: Lookout) -> None:
    lookout.turn()  # there is no bank, and no line file to make one from
    assert lookout.bank_rebuild.is_started
    eventually(lambda: lookout.bank_rebuild.poll() is not None, within=60)
    lookout.turn(LOOK_EVERY)
    assert not lookout.bank_rebuild.is_started
    lookout.turn(LOOK_EVERY)
    assert not lookout.bank_rebuild.is_started
    lookout.turn(REBUILD_AGAIN)
    assert lookout.bank_rebuild.is_started
    lookout.monitor.stop()
    assert not lookout.bank_rebuild.is_started


def test_a_bank_that_comes_back_ends_its_rebuilding(lookout: Lookout) -> None:
    lookout.turn()
    assert lookout.bank_rebuild.is_started
    lookout.make_bank()
    assert lookout.turn(LOOK_EVERY) == "known anomalies are found"
    assert not lookout.bank_rebuild.is_started


def test_a_version_blind_to_the_cameras_own_pixels_is_told_although_it_finds_what_the_bank_holds(
    lookout: Lookout,
) -> None:
    lookout.make_bank()
    lookout.draw_pairs()
    reasons = [lookout.turn(EVERY) for _ in range(8)]
    assert reasons[0] == "known anomalies are found"
    assert str(reasons[-1]).startswith("sees_nothing: 50% of 90 pseudo-anomalies")
    health = lookout.state.event.health
    assert health is not None
    assert (health.state, health.detection) == ("blind", {"speckle": 1.0})


def test_without_triton_nothing_is_said_of_the_cameras_pixels_either(lookout: Lookout) -> None:
    lookout.make_bank()
    lookout.draw_pairs()
    lookout.inference.is_away = True
    with pytest.raises(InferenceUnavailable):
        lookout.turn()
    assert lookout.state.event.health is None


def test_pairs_that_were_altered_stop_no_round(lookout: Lookout) -> None:
    lookout.make_bank()
    lookout.store.put(lookout.draw_pairs(), b"{}")
    assert lookout.turn() == "known anomalies are found"
