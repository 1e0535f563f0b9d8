"""The work of one training: it makes the bank, trains, packages, and measures the new and the live model on
the same frames.

This is the only wiring that imports torch.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from steadyline.bank.entry import Bank, BankManifest
from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock, SystemClock
from steadyline.contracts.model_event import PRODUCT_WIDE, Package
from steadyline.errors import (
    BankUnavailable,
    ContractBroken,
    InvalidConfiguration,
    PackageRejected,
    StoreUnavailable,
)
from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.line import Line
from steadyline.package import Card, Packages, read_card
from steadyline.picture import LARGEST
from steadyline.settings import RedisSettings, SigningSettings
from steadyline.signing import read_signer, read_trusted
from steadyline.store import NotInStore, Store
from steadyline.telemetry.logs import get_logger
from trainer.adversarial import distributed
from trainer.arrays import KnownDefects
from trainer.config import TrainerSettings
from trainer.data.banks import Banks, BankStore, HeldOutSet
from trainer.data.labelled_frames import LabelledFrames
from trainer.data.normals import read_file
from trainer.data.snapshot import Snapshot
from trainer.detectors.registry import learns_from_defects
from trainer.jobs.bank_maker import pseudo_maker
from trainer.jobs.build import BuildContext, PackageInputs, make_package, train_on
from trainer.jobs.gate_figures import certified_companion, figures_of, measure, measure_floor, rebuilt
from trainer.jobs.labelled_figures import flagged, labelled_figures
from trainer.jobs.native_sight import drawn_pairs
from trainer.jobs.spec import Figures, JobFailure, JobFolder, JobResult, JobSpec, LabelledFigures
from trainer.progress import Progress, ReportProgress
from trainer.sight import LEAST_DEFECTS

log = get_logger(__name__)

NOTHING_TO_TRAIN = "nothing to train"
TELL_SECONDS = 1.0  # between two words of one phase


@dataclass(frozen=True, slots=True)
class WorkerConnections:
    """What a training is connected to."""

    bank_store: BankStore
    packages: Packages
    bank: Bank
    clock: Clock
    store: Store

    def read_picture(self, uri: str) -> bytes:
        """Return a normal as its camera took it, from the store or from the product's folder.

        Raises InvalidConfiguration or OSError when it is not there any more, or not within reach.
        """
        try:
            key = self.store.key(uri)
        except NotInStore:
            return read_file(uri)
        try:
            return self.store.get(key, LARGEST.max_bytes)
        except NotInStore as error:
            raise InvalidConfiguration(f"{uri} is not in the store any more") from error
        except ValueError as error:
            raise InvalidConfiguration(f"a normal's address {uri!r} is none of the store") from error


def run_job(jobs: JobFolder, at: WorkerConnections, context: BuildContext) -> bool:
    """Carry out the order in the folder and write down its outcome; return False when it cannot succeed.

    A checkpoint or a finished package that exists already is not made again. Of several processes that
    torchrun has started the first carries the order out, and the others help it train. Raises Transient when
    the store or Redis is away: the trainer then starts the job again.
    """
    spec = jobs.spec()
    if spec is None or jobs.outcome(spec) is not None:
        return True
    try:
        if distributed.rank():
            _help(spec, at, context)
            return True
        jobs.finish(spec, _carry_out(spec, jobs, at, context))
    except (InvalidConfiguration, ContractBroken, PackageRejected) as error:
        log.error("training_failed", product=spec.product, version=spec.version, error=str(error))
        jobs.fail(spec, JobFailure(version=spec.version, reason=error.reason, message=str(error)))
        return False
    return True


def _carry_out(spec: JobSpec, jobs: JobFolder, at: WorkerConnections, context: BuildContext) -> JobResult:
    snapshot = at.bank_store.snapshot(spec.product, spec.snapshot_digest)
    banks = Banks(at.bank, at.bank_store, pseudo_maker(context.on_progress), at.clock)
    manifest, entries = banks.ensure(spec.bank_spec(), snapshot, jobs.banks(spec))
    jobs.made(spec, manifest.digest)
    labelled = _labelled(spec, at.bank_store)
    inputs = PackageInputs(spec, snapshot, manifest, entries, _known_defects(spec, labelled))
    known = inputs.held_out()
    package, notes = jobs.package(spec), ["the package was there already"]
    card = None if package is None else _finished(spec, at.packages, package)
    distributed.told(manifest.digest if card is None else NOTHING_TO_TRAIN)
    if package is None or card is None:
        made = make_package(_with_drawn(inputs, at), known, context)
        card, notes = made.card, list(made.notes)
        package = at.packages.write(spec.product, spec.version, made.files)
        jobs.wrote(spec, package)
    for note in notes:
        log.info("training_note", product=spec.product, version=spec.version, note=note)
    live = _measure_live(spec, at.packages, known, context)
    return JobResult(
        version=spec.version,
        package=package,
        candidate=figures_of(card, spec.gate),
        live_version=None if spec.live is None else spec.live.version,
        live=live,
        floor=_floor(spec, snapshot, known, context),
        notes=notes,
        labelled=None if labelled is None else _judge(spec, at.packages, package, labelled),
    )


def _help(spec: JobSpec, at: WorkerConnections, context: BuildContext) -> None:
    """Do this process's part of the training; process 0 carries the order out, and it alone writes."""
    digest = distributed.told("")
    if digest == NOTHING_TO_TRAIN:
        return
    snapshot = at.bank_store.snapshot(spec.product, spec.snapshot_digest)
    banks = Banks(at.bank, at.bank_store, pseudo_maker(context.on_progress), at.clock)
    manifest, entries = banks.ensure(spec.bank_spec(), snapshot, {digest})
    if manifest.digest != digest:
        raise BankUnavailable(f"the bank {digest} of {spec.product} was replaced while processes read it")
    known = _known_defects(spec, _labelled(spec, at.bank_store))
    train_on(PackageInputs(spec, snapshot, manifest, entries, known), context)


def _with_drawn(inputs: PackageInputs, at: WorkerConnections) -> PackageInputs:
    """Return the inputs with defects at the camera's own pixels, which are kept for the monitor where they
    are enough to judge by.
    """
    spec = inputs.spec
    drawn = drawn_pairs(inputs.snapshot, spec.channels, at.read_picture, spec.seed)
    if len(drawn.pairs) < LEAST_DEFECTS:
        return replace(inputs, drawn=drawn)
    _, digest = at.bank_store.put_snapshot(spec.product, drawn.pack())
    return replace(inputs, drawn=drawn, drawn_digest=digest)


def _labelled(spec: JobSpec, kept: BankStore) -> LabelledFrames | None:
    return None if spec.labelled_digest is None else kept.labelled(spec.product, spec.labelled_digest)


def _known_defects(spec: JobSpec, labelled: LabelledFrames | None) -> KnownDefects | None:
    """Return the defects that people labelled, for a detector that learns from them."""
    return None if labelled is None or not learns_from_defects(spec.detector) else labelled.known_defects()


def _judge(
    spec: JobSpec, packages: Packages, candidate: Package, labelled: LabelledFrames
) -> LabelledFigures:
    """Return what candidate and live model say of the labelled frames."""
    verdicts = []
    wanted = [(spec.version, candidate)] + ([(spec.live.version, spec.live.package)] if spec.live else [])
    for version, package in wanted:
        files = packages.load(spec.product, version, package)
        card = read_card(files)
        if (card.grid, card.channels) == (spec.grid, spec.channels):
            verdicts.append(flagged(rebuilt(card, files), card, labelled))
    return labelled_figures(labelled, *verdicts)


def _finished(spec: JobSpec, packages: Packages, package: Package) -> Card | None:
    """Return the card of a package that this order has finished before; None when it is not what it was."""
    try:
        return read_card(packages.load(spec.product, spec.version, package))
    except PackageRejected as error:
        log.warning("package_lost", product=spec.product, version=spec.version, error=str(error))
        return None


def _floor(spec: JobSpec, snapshot: Snapshot, known: HeldOutSet, context: BuildContext) -> float:
    """Return the AUROC that the certified distance to the candidate's normals proves on its frames."""
    normals = snapshot.pictures[~snapshot.held_out]
    companion = certified_companion(normals, lambda done, of, message: context.on_progress("floor", done, of))
    return measure_floor(companion, known, spec.gate)


def _measure_live(
    spec: JobSpec, packages: Packages, known: HeldOutSet, context: BuildContext
) -> Figures | None:
    """Return the live model's figures on the candidate's frames.

    Returns None when there is no live model, or when it takes pictures of another grid or other channels.
    """
    if spec.live is None:
        return None
    files = packages.load(spec.product, spec.live.version, spec.live.package)
    card = read_card(files)
    if (card.grid, card.channels) != (spec.grid, spec.channels):
        log.warning("live_model_sees_other_frames", product=spec.product, version=card.version)
        return None
    threshold = card.calibrations[PRODUCT_WIDE].threshold
    report = partial(context.on_progress, "measure_live")
    return measure(rebuilt(card, files), known, threshold, spec.gate, report)


def carry_out(
    line: Line,
    work: Path,
    settings: tuple[TrainerSettings, RedisSettings, SigningSettings],
) -> bool:
    """Carry out the order in the folder ``work``; return False when it cannot succeed.

    Raises StoreUnavailable when another training still works in the folder.
    """
    ours, redis, keys = settings
    signer, trusted = read_signer(keys), read_trusted(keys)
    os.nice(ours.nice)
    clock, jobs = SystemClock(), JobFolder(work)
    with ExitStack() as stack:
        stack.enter_context(distributed.joined())
        if not distributed.rank():
            stack.enter_context(_alone_in(work))
        bank = RedisBank(redis, line.line)
        stack.callback(bank.close)
        store = Store(line.store, may_be_clear=line.store_in_clear)
        connections = WorkerConnections(
            BankStore(store, line.line), Packages(store, line.line, signer, trusted), bank, clock, store
        )
        tell = ProgressTeller(jobs, clock).tell
        return run_job(jobs, connections, BuildContext(work, tell, clock, line.line))


@contextmanager
def _alone_in(work: Path) -> Iterator[None]:
    """Hold a folder: on a node that is cut off a pod may live on that Kubernetes has replaced."""
    lock = FolderLock(work, "training")
    try:
        lock.take()
    except (FolderInUse, OSError) as error:
        raise StoreUnavailable(f"no training can work in {work}: {error}") from error
    try:
        yield
    finally:
        lock.release()


class ProgressTeller:
    """Writes the progress of the order in a folder down: each new phase, and then now and then.

    Of several processes the first alone does.
    """

    def __init__(self, jobs: JobFolder, clock: Clock) -> None:
        self._jobs, self._clock, self._spec = jobs, clock, jobs.spec()
        self._phase, self._next = "", float("-inf")

    def tell(self, phase: str, done: int, total: int) -> None:
        """Take one word of progress; raises StoreUnavailable when the disk refuses it."""
        now = self._clock.monotonic()
        if self._spec is None or distributed.rank() or (phase == self._phase and now < self._next):
            return
        self._phase, self._next = phase, now + TELL_SECONDS
        self._jobs.tell(self._spec, Progress(phase, done, total))


def rebuild_bank(
    line: Line,
    product: str,
    known: Mapping[str, str] | None,
    redis: RedisSettings,
    on_progress: ReportProgress,
) -> BankManifest:
    """Make the newest bank of ``product`` that is ``known`` (None: any) again, and put it in Redis."""
    bank = RedisBank(redis, line.line)
    try:
        kept = BankStore(Store(line.store, may_be_clear=line.store_in_clear), line.line)
        return Banks(bank, kept, pseudo_maker(on_progress), SystemClock()).rebuild(product, known)
    finally:
        bank.close()
