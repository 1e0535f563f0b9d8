"""A small snapshot of made-up normals, and a bank that is made of it in no time."""

import numpy as np

from steadyline.bank.entry import BankEntry
from steadyline.picture import encode_png
from trainer.data.banks import BankSpec, BankStore, GeneratedBank
from trainer.data.snapshot import NormalSource, Snapshot, make_snapshot


class Speckle:
    """Makes one pseudo-anomaly a normal: seeded noise. Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.strength = 60

    def __call__(self, snapshot: Snapshot, of: BankSpec) -> GeneratedBank:
        self.asked += 1
        random = np.random.default_rng(of.seed)
        entries = []
        for source, picture in zip(snapshot.sources, snapshot.pictures, strict=True):
            noisy = picture ^ random.integers(0, self.strength, picture.shape, np.uint8)
            png = encode_png(noisy[..., 0])
            entries.append(BankEntry(f"{source.id}#0", png, png, source.id, "speckle", {"s": 60}, 0.01))
        return GeneratedBank(entries, {"strength": 60}, 1, {"speckle": 1.0})


def a_snapshot(count: int = 30) -> Snapshot:
    """Return a snapshot of ``count`` normals of 8 x 8 random pixels, the same at every call."""
    random = np.random.default_rng(1)
    return make_snapshot(
        [
            (NormalSource(id=f"{i:03}", uri=f"file:///{i}"), random.integers(0, 256, (8, 8, 1), np.uint8))
            for i in range(count)
        ]
    )


def bank_spec(kept: BankStore, snapshot: Snapshot) -> BankSpec:
    """Put the snapshot into the store and return what a bank of it is made from."""
    return BankSpec("cell", "gray", "cobra", "cpu", 0, *kept.put_snapshot("cell", snapshot.pack()))
