"""A rollout of one product with everything real but Kafka, Redis and Triton."""

import base64
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.model_command import Action, ModelCommand
from steadyline.contracts.model_event import Calibration, ModelEvent, Probe
from steadyline.contracts.topics import line_topics
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import GateSection
from steadyline.package import Card, package_key, write_card, write_package
from steadyline.picture import encode_png
from steadyline.store import Store
from tests.support.folder_triton import FolderTriton
from trainer.control.commands import Commands
from trainer.jobs.spec import Figures, JobResult
from trainer.lifecycle.event_log import EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import Promoter
from trainer.lifecycle.repository import ModelRepository
from trainer.lifecycle.rollout import Rollout

NOW = datetime(2026, 3, 1, tzinfo=UTC)


GOOD = Figures(clean=0.9, attacked=0.7, corrupted=0.85)


class Works:
    """A rollout with everything real but Kafka, Redis and Triton."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.store = Store(f"memory://{uuid.uuid4().hex}")
        self.folder = folder
        self.triton = FolderTriton(folder)
        self.repository = ModelRepository(folder)
        topics = line_topics("t", 2)
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(topics))
        event_log = EventLog(
            self.broker.publisher("t"), self.broker.reader("t"), topics.model_events.name, "l"
        )
        leases = Leases(MemoryBank(), ["cell"], "a", self.clock)
        leases.renew()
        self.state = ProductState("cell", event_log, leases, self.clock)
        promoter = Promoter(self.repository, self.triton, timedelta(seconds=5))
        self.rollout = Rollout(self.state, GateSection(), self.store, promoter, self.clock)
        self.ordered: list[str] = []
        self.commands = Commands(self.state, self.rollout, self.ordered.append, self.clock)

    def trained(self, version: int, answers: bytes, candidate: Figures = GOOD) -> JobResult:
        """Write a package whose probes expect score 0.5 and return a training's result."""
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
            probes=[Probe(picture_png=picture, score=0.5, tolerance=0.01)],
            figures={"clean_auroc": candidate.clean},
            acceptance={},
            lineage={},
        )
        files = {
            "model.onnx": answers,
            "config.pbtxt": b"",
            "card.json": write_card(card),
            "weights.safetensors": b"",
        }
        package = write_package(self.store, package_key("cell", version), files)
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
        self.commands.answer(offset, order)
        return self.state.event
