"""A rollout of one product with everything real but Kafka, Redis and Triton."""

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.model_command import Action, ModelCommand
from steadyline.contracts.model_event import Calibration, EncodedProbe, ModelEvent, Probe
from steadyline.contracts.topics import line_topics
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import GateSection, PictureSection, WatchSection
from steadyline.package import NO_LICENCE, Card, Packages, write_card
from steadyline.picture import encode_png
from steadyline.signing import NO_KEYS, Signer, TrustedKeys
from steadyline.store import Store
from steadyline.triton_config import Serving
from tests.support.folder_triton import FolderTriton
from tests.support.graphs import a_graph
from tests.support.inference import MemoryInference
from trainer.control.commands import Commands
from trainer.control.station_calibration import StationCalibration
from trainer.data.banks import BankStore, HeldOutCache
from trainer.data.station_pictures import StationPictures
from trainer.jobs.spec import Figures, JobResult
from trainer.lifecycle.event_log import EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import Promoter
from trainer.lifecycle.repository import ModelRepository
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.monitor import ModelMonitor, MonitorInputs
from trainer.monitor.native_rounds import NativeRounds

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOPIC_ID = "commands-topic"


GOOD = Figures(clean=0.9, attacked=0.7, corrupted=0.85, detection=0.8)


@dataclass(frozen=True, slots=True)
class WorksSetUp:
    """What a rollout may be given: a store of its own, keys, and what the gate asks for."""

    store: Store | None = None
    signer: Signer | None = None
    trusted: TrustedKeys = NO_KEYS
    gate: GateSection = field(default_factory=GateSection)


USUAL_SET_UP = WorksSetUp()


class Works:
    """A rollout with everything real but Kafka, Redis and Triton."""

    def __init__(
        self, folder: Path, most_event_bytes: int = 4 << 20, set_up: WorksSetUp = USUAL_SET_UP
    ) -> None:
        self.clock = ManualClock()
        self.licence = NO_LICENCE  # of what is trained from now on
        self.line = "l"  # that trains it
        self.store = set_up.store or Store(f"memory://{uuid.uuid4().hex}")
        self.folder = folder
        self.triton = FolderTriton(folder)
        self.repository = ModelRepository(folder)
        topics = line_topics("t", 2)
        events = replace(topics.model_events, max_message_bytes=most_event_bytes)
        topics = replace(topics, model_events=events)
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(topics))
        event_log = EventLog(
            self.broker.publisher("t"),
            lambda: self.broker.follower("t", [events.name]),
            events.name,
            EventSeal("l"),
            self.clock,
        )
        self.leases = Leases(MemoryBank(), ["cell"], "a", self.clock)
        self.leases.renew()
        self.state = ProductState("cell", event_log, self.leases, self.clock)
        promoter = Promoter(self.repository, self.triton, timedelta(seconds=5), Serving())
        self.packages = Packages(self.store, "l", set_up.signer, set_up.trusted)
        self.rollout = Rollout(self.state, set_up.gate, self.packages, promoter, self.clock)
        self.ordered: list[str] = []
        self.bank, self.inference = MemoryBank(), MemoryInference()
        self.bank_rebuild = BankRebuildProcess(folder / "no-line.yaml", "cell")
        self.monitor = self._monitor()
        pictures = StationPictures(self.store, "l", "cell", PictureSection())
        self.stations = StationCalibration(self.state, pictures, self.monitor, frozenset({"c1"}), self.clock)
        self.commands = Commands(self.state, self.rollout, self.stations, self.ordered.append, self.clock)

    def _monitor(self) -> ModelMonitor:
        """Return what proofs of stations stand on: ``inference`` and ``bank``."""
        held_out = HeldOutCache(self.bank, BankStore(self.store, "l"), "cell")
        drawn = NativeRounds(BankStore(self.store, "l"), "cell", self.clock)
        inputs = MonitorInputs(held_out, drawn, self.inference, timedelta(seconds=1))
        return ModelMonitor(self.state, WatchSection(), inputs, self.bank_rebuild, self.clock)

    def advance(self, duration: timedelta) -> None:
        """Let time pass; the lease stays ours."""
        self.clock.advance(duration)
        self.leases.renew()

    def trained(
        self,
        version: int,
        answers: bytes,
        candidate: Figures = GOOD,
        graph: bytes = b"",
        probes: int = 1,
        lineage: Mapping[str, str] = MappingProxyType({}),
        encoded: float | None = None,
    ) -> JobResult:
        """Write a package whose probes expect score 0.5, and an encoded one ``encoded``; return a training's
        result.
        """
        picture = base64.b64encode(encode_png(np.zeros((8, 8), np.uint8))).decode()
        one = Calibration(scores=[0.1], threshold=0.1, achieved_rate=0.5)
        card = Card(
            product="cell",
            version=version,
            detector="cobra",
            profile="cpu",
            seed=0,
            trained_at=NOW,
            size=8,
            channels="gray",
            recipe={},
            false_alarm_rate=0.01,
            calibrations={"*": one},
            probes=[Probe(picture_png=picture, score=0.5, tolerance=0.01)] * probes,
            figures={"clean_auroc": candidate.clean},
            acceptance={},
            lineage=dict(lineage),
            licence=self.licence,
            line=self.line,
            encoded_probes=_encoded(picture, encoded),
        )
        files = {
            "model.onnx": graph or a_graph(answers.decode()),
            "card.json": write_card(card),
            "weights.safetensors": b"",
        }
        package = self.packages.write("cell", version, files)
        live = self.state.event.live_version
        return JobResult(
            version=version,
            package=package,
            candidate=candidate,
            live_version=live,
            live=None if live is None else GOOD,
            notes=[],
        )

    def command(self, action: Action, version: int | None = None, offset: int = 0) -> ModelEvent:
        """Give an order as a person does, and return the state after its answer."""
        order = ModelCommand(product="cell", action=action, version=version, who="ann", at=NOW, why="because")
        self.commands.answer(TOPIC_ID, offset, order)
        return self.state.event


def _encoded(picture: str, score: float | None) -> list[EncodedProbe]:
    if score is None:
        return []
    return [EncodedProbe(encoding="png", frame=picture, score=score, tolerance=0.01, x=0, y=0)]
