"""A product with a live model whose answers are simple, its bank, and orders for its stations."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from steadyline.bank.entry import BankEntry
from steadyline.contracts.model_command import Action, ModelCommand
from steadyline.contracts.model_event import Model
from steadyline.contracts.station import station_picture_key
from steadyline.digest import sha256
from steadyline.inference import Inferred, Pixels
from steadyline.picture import encode_png
from tests.support.model_history import a_model
from tests.support.snapshots import a_snapshot, bank_spec
from tests.support.works import Works
from trainer.data.banks import Banks, BankSpec, BankStore, GeneratedBank
from trainer.data.snapshot import Snapshot
from trainer.jobs.build import station_references
from trainer.jobs.calibrate import calibration
from trainer.lifecycle import transitions
from trainer.lifecycle.transitions import Step

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SPOT = (slice(0, 3), slice(0, 3))


class WhiteSpot:
    """Makes pseudo-anomalies: the normal with a white corner."""

    def __call__(self, snapshot: Snapshot, of: BankSpec) -> GeneratedBank:
        entries = []
        for source, picture in zip(snapshot.sources, snapshot.pictures, strict=True):
            spoilt = picture.copy()
            spoilt[SPOT] = 255
            png = encode_png(spoilt[..., 0])
            entries.append(BankEntry(f"{source.id}#0", png, png, source.id, "spot", {}, 0.01))
        return GeneratedBank(entries, {}, 1, {"spot": 1.0})


def sees(pictures: Pixels) -> Inferred:
    """A model to which light that is not that of the normals is anomalous, and a white corner much more
    so.
    """
    light = np.abs(pictures.mean(axis=(1, 2, 3)) - 127.5) / 20
    spot = pictures[:, *SPOT].min(axis=(1, 2, 3)) > 250
    scores = np.where(spot, 5.0, light).astype(np.float32)
    return Inferred(scores, np.zeros((len(pictures), 2, 2), np.float32))


class CalibratedPlant:
    """A product with a live model, its bank, and pictures that somebody puts into the store."""

    def __init__(self, folder: Path, most_event_bytes: int = 4 << 20) -> None:
        self.works = Works(folder, most_event_bytes)
        self.works.inference.serve("cell", 1, sees)
        model = self.a_model()
        added = transitions.add(self.works.state.event, model, NOW)
        self.works.state.announce(transitions.go_live(added, Step(1, "live", "passed", NOW), {}))
        self.offset = 0

    def a_model(self) -> Model:
        known = a_snapshot()
        held_out = sees(known.pictures).scores.tolist()
        update = {
            "size": 8,
            "calibrations": {"*": calibration(held_out, 0.05)},
            "references": station_references(known),
        }
        return a_model(1).model_copy(update=update)

    def make_bank(self) -> None:
        kept = BankStore(self.works.store, "l")
        manifest, _ = Banks(self.works.bank, kept, WhiteSpot(), self.works.clock).ensure(
            bank_spec(kept, a_snapshot()), a_snapshot(), ()
        )
        self.works.bank_rebuild.made = {manifest.digest: manifest.normals_digest}

    def put(self, pictures: list[np.ndarray]) -> list[str]:
        encoded = [encode_png(picture) for picture in pictures]
        for data in encoded:
            self.works.store.put(station_picture_key("l", "cell", sha256(data)), data)
        return [sha256(data) for data in encoded]

    def order(
        self,
        pictures: list[str],
        action: Action = "calibrate",
        camera: str | None = "c1",
        dry_run: bool = False,
    ) -> str:
        """Give an order; return what the newest change says."""
        command = ModelCommand(
            product="cell",
            action=action,
            camera=camera,
            pictures=pictures,
            dry_run=dry_run,
            who="ann",
            at=NOW,
        )
        self.works.commands.answer("topic", self.offset, command)
        self.offset += 1
        return self.works.state.event.changes[-1].reason

    @property
    def live(self) -> Model:
        live = self.works.state.event.live()
        assert live is not None
        return live
