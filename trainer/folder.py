"""``fit`` and ``evaluate`` on a folder in MVTec layout; they need no server and run the code of a line."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from steadyline.bank.memory import MemoryBank
from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.line import GateSection, PictureSection
from steadyline.package import WEIGHTS, Card, load_package, read_card, read_package, write_package
from steadyline.signing import NO_KEYS, Signer, TrustedKeys
from steadyline.store import Store
from trainer.adversarial import distributed
from trainer.arrays import KnownDefects
from trainer.data.banks import Banks, BankStore
from trainer.data.known_defects import read_known_defects
from trainer.data.mvtec import Preparation, TestSet, read_test, with_native
from trainer.data.normals import believed, distortion_note, from_folder, read_file
from trainer.data.snapshot import Snapshot, make_snapshot
from trainer.detector_protocol import OnProgress, Overrides, Served
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.evaluator import EvaluationSettings
from trainer.evaluation.examples import Judging, examples
from trainer.fit import rebuild
from trainer.jobs.bank_maker import pseudo_maker
from trainer.jobs.build import BuildContext, PackageInputs, make_package, train_on
from trainer.jobs.calibrate import MOST_NAMED
from trainer.jobs.native_sight import drawn_pairs
from trainer.jobs.spec import JobSpec


@dataclass(frozen=True, slots=True)
class FolderOrder:
    """What to train on a folder; ``known_defects`` is another folder, see ``trainer.data.known_defects``.

    ``guard`` leaves out normals that are too far from all others.
    """

    data: Path
    out: Path
    product: str
    detector: str
    profile: str
    steps: int | None
    seed: int
    grid: Grid
    channels: Literal["gray", "rgb"]
    false_alarm_rate: float
    overrides: Overrides = field(default_factory=dict)
    known_defects: Path | None = None
    signer: Signer | None = None
    guard: bool = True


def fit_folder(order: FolderOrder, context: BuildContext) -> tuple[Card, tuple[str, ...]]:
    """Write the package to ``order.out``; return its card and notes that a person should read.

    A killed fit goes on from its checkpoint when it is started again with the same order.
    Raises InvalidConfiguration when the folder, the detector or the profile is wrong.
    """
    inputs, context = _prepared(order, context)
    made = make_package(inputs, inputs.held_out(), context)
    write_package(Store(f"file://{order.out.resolve()}"), "", made.files, order.signer)
    shutil.rmtree(_work(order), ignore_errors=True)
    unused = order.known_defects is not None and "known_defects" not in made.card.figures
    note = (f"{order.detector} makes no use of known defects; bgad does",) if unused else ()
    return made.card, (*made.notes, *note, *_left_out(inputs.snapshot), *_distorted(order))


def help_fit(order: FolderOrder, context: BuildContext) -> None:
    """Do this process's part of a training that torchrun shares among processes.

    Process 0 runs ``fit_folder`` meanwhile, and it alone writes. Raises InvalidConfiguration as
    ``fit_folder`` does.
    """
    train_on(*_prepared(order, context))


def _prepared(order: FolderOrder, context: BuildContext) -> tuple[PackageInputs, BuildContext]:
    """Return what the package is made from, and the context with the order's own checkpoints."""
    known = _known(order)
    pictures = PictureSection(grid=order.grid, channels=order.channels)
    frames = from_folder(order.data, pictures)
    snapshot = believed(frames) if order.guard else make_snapshot(frames)
    packed = snapshot.pack()
    spec = _spec(order, context, sha256(packed))
    work = _work(order)
    own = work / f"process-{distributed.rank()}"
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfiguration(f"--out {order.out} cannot be used: {error.strerror}") from error
    kept = Store(f"file://{own.resolve()}")
    banks = Banks(MemoryBank(), BankStore(kept, "folder"), pseudo_maker(context.on_progress), context.clock)
    manifest, entries = banks.ensure(spec.bank_spec(), snapshot, ())
    drawn = drawn_pairs(snapshot, order.channels, read_file, spec.seed)
    inputs = PackageInputs(spec, snapshot, manifest, entries, known, drawn)
    return inputs, replace(context, checkpoints=work / spec.digest()[:16])


def _distorted(order: FolderOrder) -> tuple[str, ...]:
    """Return the note on proportions that the grid does not keep, if any."""
    note = distortion_note(order.data, PictureSection(grid=order.grid))
    return () if note is None else (note,)


def _left_out(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the note that names what the guard has left out, if anything."""
    count = len(snapshot.left_out)
    if not count:
        return ()
    named = ", ".join(snapshot.left_out[:MOST_NAMED]) + (" …" if count > MOST_NAMED else "")
    return (
        f"{count} of {count + len(snapshot.sources)} normals are too far from all others to be believed and "
        f"were left out; look at them: {named}; --no-guard trains on them too",
    )


def _known(order: FolderOrder) -> KnownDefects | None:
    if order.known_defects is None:
        return None
    return read_known_defects(order.known_defects, Preparation(order.grid, order.channels))


def _work(order: FolderOrder) -> Path:
    return order.out / ".work"


@dataclass(frozen=True, slots=True)
class EvaluationOrder:
    """What to evaluate; ``other`` is a second package whose attacks are tried on the first."""

    data: Path
    model: Path
    other: Path | None
    settings: EvaluationSettings
    trusted: TrustedKeys = NO_KEYS


def evaluate_folder(order: EvaluationOrder, on_progress: OnProgress) -> tuple[Evaluation, Card]:
    """Return the evaluation of a package on the test pictures of a folder, and its card.

    Raises PackageRejected when a package is incomplete or does not match its digests, InvalidConfiguration
    when the folder is wrong.
    """
    card, module = open_package(order.model, order.trusted)
    other = None if order.other is None else open_package(order.other, order.trusted)[1]
    test = read_test_set(order.data, card)
    if order.settings.at == "native":
        test = with_native(test, order.data, _preparation(card))
    found = evaluate(module, test, order.settings, on_progress, other)
    judging = Judging(card.calibrations[PRODUCT_WIDE], is_pair="+" in card.detector)
    return replace(found, examples=examples(module, test, found.clean, judging)), card


def open_package(folder: Path, trusted: TrustedKeys = NO_KEYS) -> tuple[Card, Served]:
    """Return the card and the torch module of a package; raises PackageRejected."""
    store = Store(f"file://{folder.resolve()}")
    files = load_package(store, read_package(store, "", trusted), trusted)
    card = read_card(files)
    return card, rebuild(dict(card.recipe), files[WEIGHTS])


def read_test_set(data: Path, card: Card) -> TestSet:
    """Return the folder's test pictures as the card's model takes them; raises InvalidConfiguration."""
    return read_test(data, _preparation(card))


def _preparation(card: Card) -> Preparation:
    return Preparation(card.grid, "rgb" if card.channels == "rgb" else "gray")


def _spec(order: FolderOrder, context: BuildContext, digest: str) -> JobSpec:
    return JobSpec(
        product=order.product,
        version=1,
        why="fit on a folder",
        detector=order.detector,
        profile=order.profile,
        steps=order.steps,
        overrides=dict(order.overrides),
        seed=order.seed,
        size=order.grid.height,
        width=order.grid.told_width,
        channels=order.channels,
        false_alarm_rate=order.false_alarm_rate,
        gate=GateSection(),
        snapshot_uri=order.data.absolute().as_uri(),
        snapshot_digest=digest,
        live=None,
        ordered_at=context.clock.now(),
    )
