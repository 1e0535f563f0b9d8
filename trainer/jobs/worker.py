"""The child's work: bank, training, package, and both models measured on the same frames.

It is the only wiring that imports torch.
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
from trainer.data.banks import Banks, KnownFrames, held_out_frames, load_snapshot
from trainer.data.snapshot import Snapshot
from trainer.jobs.bank_maker import pseudo_maker
from trainer.jobs.build import Materials, Workbench, make_package
from trainer.jobs.gate_figures import certified_companion, figures_of, measure, measure_floor, rebuilt
from trainer.jobs.spec import Figures, JobFailure, JobResult, Jobs, JobSpec
from trainer.progress import Tell

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Connections:
    """What the child is connected to."""

    store: Store
    bank: Bank
    clock: Clock


def run_job(product: str, at: Connections, bench: Workbench) -> bool:
    """Carry out the product's open order and write down what came of it; False when it cannot succeed.

    What is there already (a checkpoint, a finished package) is not made again. Raises Transient when the
    store or Redis is away: the parent starts the job again.
    """
    jobs = Jobs(at.store, product)
    spec = jobs.spec()
    if spec is None or jobs.result(spec.version) is not None:
        return True
    try:
        jobs.finish(_carry_out(spec, at, bench))
    except (InvalidConfiguration, ContractBroken, PackageRejected) as error:
        log.error("training_failed", product=product, version=spec.version, error=str(error))
        jobs.fail(JobFailure(version=spec.version, reason=error.reason, message=str(error)))
        return False
    return True


def _carry_out(spec: JobSpec, at: Connections, bench: Workbench) -> JobResult:
    snapshot = load_snapshot(at.store, spec.snapshot_uri, spec.snapshot_digest)
    banks = Banks(at.bank, at.store, pseudo_maker(bench.told), at.clock)
    manifest, entries = banks.ensure(spec.ingredients(), snapshot)
    known = held_out_frames(entries, snapshot, spec.channels)
    folder = package_key(spec.product, spec.version)
    card, notes = _finished(spec, at.store, folder), ["the package was there already"]
    if card is None:
        made = make_package(Materials(spec, snapshot, manifest, entries), bench)
        card, notes = made.card, list(made.notes)
        write_package(at.store, folder, made.files)
    for note in notes:
        log.info("training_note", product=spec.product, version=spec.version, note=note)
    live = _measure_live(spec, at.store, known, bench)
    return JobResult(
        version=spec.version,
        package=read_package(at.store, folder),
        candidate=figures_of(card, spec.gate),
        live_version=None if spec.live is None else spec.live.version,
        live=live,
        floor=_floor(spec, snapshot, known, bench),
        notes=notes,
    )


def _finished(spec: JobSpec, store: Store, folder: str) -> Card | None:
    """Return the card of this very order's package, if it was finished before."""
    try:
        card = read_card(load_package(store, read_package(store, folder)))
    except PackageRejected:
        return None
    return card if card.lineage.get("order") == spec.digest() else None


def _floor(spec: JobSpec, snapshot: Snapshot, known: KnownFrames, bench: Workbench) -> float:
    """Return what the certified distance proves: fitted on the candidate's normals, on its frames."""
    normals = snapshot.pictures[~snapshot.held_out]
    companion = certified_companion(normals, lambda done, of, message: bench.told("floor", done, of))
    return measure_floor(companion, known, spec.gate)


def _measure_live(spec: JobSpec, store: Store, known: KnownFrames, bench: Workbench) -> Figures | None:
    """Return the live model's figures on the candidate's frames; None without one that can see them."""
    if spec.live is None:
        return None
    files = load_package(store, spec.live.package)
    card = read_card(files)
    if (card.size, card.channels) != (spec.size, spec.channels):
        log.warning("live_model_sees_other_frames", product=spec.product, version=card.version)
        return None
    return measure(
        rebuilt(card, files), known, spec.gate, lambda done, of: bench.told("measure_live", done, of)
    )


def carry_out(
    line: Line, product: str, work: Path, settings: tuple[TrainerSettings, RedisSettings], told: Tell
) -> bool:
    """Carry out the open order of ``product``; False when it cannot succeed."""
    ours, redis = settings
    os.nice(ours.nice)
    clock, bank = SystemClock(), RedisBank(redis)
    try:
        bench = Workbench(work, ours.serving(), told, clock)
        return run_job(product, Connections(Store(line.store), bank, clock), bench)
    finally:
        bank.close()


def rebuild_bank(line: Line, product: str, redis: RedisSettings, told: Tell) -> BankManifest:
    """Make the newest bank of ``product`` again and put it in Redis."""
    bank = RedisBank(redis)
    try:
        return Banks(bank, Store(line.store), pseudo_maker(told), SystemClock()).rebuild(product)
    finally:
        bank.close()
