"""A product whose cameras' scores come from the broker, and a trainer's controller that follows them."""

import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from steadyline.contracts.model_event import Model
from steadyline.contracts.score import Peak, Score, Verdict
from steadyline.contracts.station import Station
from steadyline.errors import Transient
from steadyline.inference import Inferred, Pixels
from steadyline.kafka.broker import Message
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from tests.support.calibrated_plant import SPOT, CalibratedPlant
from tests.support.snapshots import a_snapshot
from tests.support.stream_scores import KEY
from trainer.control.controller import ControllerDependencies, ProductController
from trainer.control.inbox import InboxDispatcher, ProductInbox, reservoir_rules
from trainer.control.label_keeper import LabelKeeper
from trainer.control.station_drift import room
from trainer.control.station_following import StationFollowing
from trainer.control.training_process import ProcessLauncher
from trainer.control.training_supervisor import TrainingPlace, TrainingSupervisor
from trainer.data.banks import BankStore
from trainer.data.label_shelf import LabelShelf
from trainer.jobs.calibrate import calibration

HELD_OUT = calibration(np.random.default_rng(7).gamma(9.0, 0.02, 400).tolist(), 0.01)
ROOM = room(HELD_OUT)
EVERY = timedelta(hours=6)


def sees_spots_at(height: float) -> "SeesSpots":
    """Return a model that gives half of the pseudo-anomalies a score ``height`` rooms above the threshold,
    and the other half one far above it.
    """
    return SeesSpots(HELD_OUT.threshold + height * ROOM)


class SeesSpots:
    """A model for the proof: normals score low, a white corner as told."""

    def __init__(self, score: float) -> None:
        self.score = score

    def __call__(self, pictures: Pixels) -> Inferred:
        spot = pictures[:, *SPOT].min(axis=(1, 2, 3)) > 250
        is_plain = pictures[:, -1, -1, 0] % 2 == 0
        scores = np.where(spot, np.where(is_plain, self.score, 50.0), 0.1).astype(np.float32)
        return Inferred(scores, np.zeros((len(pictures), 2, 2), np.float32))


class FollowedPlant(CalibratedPlant):
    """The plant of calibrations, with an inbox that reads a broker; hours pass as scores are written."""

    def __init__(self, folder: Path, follow: bool = True, most_event_bytes: int = 4 << 20) -> None:
        super().__init__(folder, most_event_bytes)
        self.make_bank()
        self.folder, self.sequence, self.random = folder, 0, np.random.default_rng(3)
        self.works.inference.serve("cell", 1, sees_spots_at(10))
        self.line = Line.model_validate(
            {
                "line": "l",
                "topics": {"prefix": "t", "partitions": 2},
                "products": {"cell": {"watch": {"follow": follow, "every": "3650d"}}},
                "cameras": [{"id": one, "product": "cell", "source": "synthetic:"} for one in ("c1", "c2")],
            }
        )
        self.start()

    @override
    def a_model(self) -> Model:
        return super().a_model().model_copy(update={"calibrations": {"*": HELD_OUT}})

    def start(self) -> None:
        """Begin as a process does: nothing is known, and every score is read again."""
        works, product = self.works, self.line.products["cell"]
        works.state.forget()
        self.inbox = ProductInbox("cell", reservoir_rules(self.line, "cell", KEY, works.store))
        seal = EventSeal("l")
        self.dispatcher = InboxDispatcher(works.broker, self.line, {"cell": self.inbox}, seal, works.clock)
        place = TrainingPlace(ProcessLauncher(self.folder / "no"), self.folder, 0)
        supervisor = TrainingSupervisor(works.state, product, BankStore(works.store, "l"), place, works.clock)
        self.following = StationFollowing(works.state, works.monitor, product.watch, works.clock)
        dependencies = ControllerDependencies(
            works.leases,
            works.rollout,
            works.monitor,
            lambda inbox: a_snapshot(),
            works.clock,
            LabelKeeper(LabelShelf(works.store, seal, "cell", 1 << 20), works.clock),
            works.stations,
            self.following,
        )
        self.controller = ProductController(product, works.state, self.inbox, supervisor, dependencies)

    def hours(self, count: int, drift: float = 0.0, camera: str = "c1", **changes: Any) -> None:
        """Let so many hours pass, with forty scores in each, ``drift`` rooms higher than the held-out ones;
        ``changes`` are of fields of the scores.
        """
        for _ in range(count):
            self.works.advance(timedelta(hours=1))
            for value in self.random.gamma(9.0, 0.02, 40) + drift * ROOM:
                self.write(camera, float(value), **changes)

    def write(self, camera: str, value: float, **changes: Any) -> None:
        """Write one score to the topic, by the version and the thresholds in service."""
        self.sequence += 1
        live, now = self.live, self.works.clock.now()
        threshold = HELD_OUT.threshold + self.shift(camera) * ROOM
        verdict: Verdict = "anomalous" if value > threshold else "normal"
        score = Score(
            frame=f"{camera}/7/{self.sequence}", camera=camera, product="cell", captured_at=now,
            scored_at=now, model_version=live.version, score=value, p_value=0.5, threshold=threshold,
            threshold_version=live.threshold_version, verdict=verdict, peak=Peak(x=0, y=0, value=0),
            source_partition=0, source_offset=self.sequence,
        ).model_copy(update=changes)  # fmt: skip
        topic = self.line.kafka_topics().scores.name
        message = Message(topic, camera.encode(), score.encode(), score.headers("l", camera, now), 0)
        self.works.broker.publisher("scorer").publish(message, lambda error: None)

    def look(self) -> str:
        """Let the trainer read, and follow when that is due; return what the newest change says."""
        self.read()
        self.following.turn(self.inbox)
        return self.works.state.event.changes[-1].reason

    def read(self) -> None:
        """Let the trainer read what is on the topics."""
        for _ in range(3):
            assert self.dispatcher.turn(timedelta(0), threading.Event()) is None

    def turn(self) -> None:
        """Let the controller have a turn: no Triton serves the version here, which holds nothing else up."""
        with suppress(Transient):
            self.controller.turn()

    def station(self, camera: str = "c1") -> Station | None:
        """Return how the camera is put right."""
        return self.live.stations.get(camera)

    def shift(self, camera: str = "c1") -> float:
        """Return by how many rooms the threshold of the camera is shifted."""
        station = self.station(camera)
        return station.threshold_shift / ROOM if station is not None else 0.0
