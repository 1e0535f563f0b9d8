"""The work of the child process: it makes the bank, trains, packages, and measures the new and the live model
on the same frames.

This is the only wiring that imports torch.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from steadyline.bank.entry import Bank, BankManifest
from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock, SystemClock
from steadyline.errors import ContractBroken, InvalidConfiguration, PackageRejected
from steadyline.line import Line
from steadyline.package import (
    Card,
    load_package,
    package_key,
    read_card,
    read_package,
    write_package,
)
from steadyline.settings import RedisSettings
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger
from trainer.config import TrainerSettings
from trainer.data.banks import Banks, HeldOutSet, load_snapshot
from trainer.data.snapshot import Snapshot
from trainer.jobs.bank_maker import pseudo_maker
from trainer.jobs.build import BuildContext, PackageInputs, make_package
from trainer.jobs.gate_figures import certified_companion, figures_of, measure, measure_floor, rebuilt
from trainer.jobs.spec import Figures, JobFailure, JobResult, Jobs, JobSpec
from trainer.progress import ReportProgress

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerConnections:
    """What the child is connected to."""

    store: Store
    bank: Bank
    clock: Clock


def run_job(product: str, at: WorkerConnections, context: BuildContext) -> bool:
    """Carry out the product's open order and write down its outcome; return False when it cannot succeed.

    A checkpoint or a finished package that exists already is not made again. Raises Transient when the store
    or Redis is away: the parent then starts the job again.
    """
    jobs = Jobs(at.store, product)
    spec = jobs.spec()
    if spec is None or jobs.result(spec.version) is not None:
        return True
    try:
        jobs.finish(_carry_out(spec, at, context))
    except (InvalidConfiguration, ContractBroken, PackageRejected) as error:
        log.error("training_failed", product=product, version=spec.version, error=str(error))
        jobs.fail(JobFailure(version=spec.version, reason=error.reason, message=str(error)))
        return False
    return True


def _carry_out(spec: JobSpec, at: WorkerConnections, context: BuildContext) -> JobResult:
    snapshot = load_snapshot(at.store, spec.snapshot_uri, spec.snapshot_digest)
    banks = Banks(at.bank, at.store, pseudo_maker(context.on_progress), at.clock)
    manifest, entries = banks.ensure(spec.bank_spec(), snapshot)
    inputs = PackageInputs(spec, snapshot, manifest, entries)
    known = inputs.held_out()
    folder = package_key(spec.product, spec.version)
    card, notes = _finished(spec, at.store, folder), ["the package was there already"]
    if card is None:
        made = make_package(inputs, known, context)
        card, notes = made.card, list(made.notes)
        write_package(at.store, folder, made.files)
    for note in notes:
        log.info("training_note", product=spec.product, version=spec.version, note=note)
    live = _measure_live(spec, at.store, known, context)
    return JobResult(
        version=spec.version,
        package=read_package(at.store, folder),
        candidate=figures_of(card, spec.gate),
        live_version=None if spec.live is None else spec.live.version,
        live=live,
        floor=_floor(spec, snapshot, known, context),
        notes=notes,
    )


def _finished(spec: JobSpec, store: Store, folder: str) -> Card | None:
    """Return the card of the package that this very order has finished before; None when it has not."""
    try:
        card = read_card(load_package(store, read_package(store, folder)))
    except PackageRejected:
        return None
    return card if card.lineage.get("order") == spec.digest() else None


def _floor(spec: JobSpec, snapshot: Snapshot, known: HeldOutSet, context: BuildContext) -> float:
    """Return the AUROC that the certified distance to the candidate's normals proves on its frames."""
    normals = snapshot.pictures[~snapshot.held_out]
    companion = certified_companion(normals, lambda done, of, message: context.on_progress("floor", done, of))
    return measure_floor(companion, known, spec.gate)


def _measure_live(spec: JobSpec, store: Store, known: HeldOutSet, context: BuildContext) -> Figures | None:
    """Return the live model's figures on the candidate's frames.

    Returns None when there is no live model, or when it takes pictures of another size or other channels.
    """
    if spec.live is None:
        return None
    files = load_package(store, spec.live.package)
    card = read_card(files)
    if (card.size, card.channels) != (spec.size, spec.channels):
        log.warning("live_model_sees_other_frames", product=spec.product, version=card.version)
        return None
    return measure(
        rebuilt(card, files), known, spec.gate, lambda done, of: context.on_progress("measure_live", done, of)
    )


def carry_out(
    line: Line,
    product: str,
    work: Path,
    settings: tuple[TrainerSettings, RedisSettings],
    on_progress: ReportProgress,
) -> bool:
    """Carry out the open order of ``product``; return False when it cannot succeed."""
    ours, redis = settings
    os.nice(ours.nice)
    clock, bank = SystemClock(), RedisBank(redis)
    try:
        context = BuildContext(work, ours.serving(), on_progress, clock)
        return run_job(product, WorkerConnections(Store(line.store), bank, clock), context)
    finally:
        bank.close()


def rebuild_bank(line: Line, product: str, redis: RedisSettings, on_progress: ReportProgress) -> BankManifest:
    """Make the newest bank of ``product`` again and put it in Redis."""
    bank = RedisBank(redis)
    try:
        return Banks(bank, Store(line.store), pseudo_maker(on_progress), SystemClock()).rebuild(product)
    finally:
        bank.close()
