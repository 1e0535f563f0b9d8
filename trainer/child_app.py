"""What the trainer's child processes are made of; the only wiring that imports torch."""

import os
from pathlib import Path

from steadyline.bank.entry import BankManifest
from steadyline.bank.redis import RedisBank
from steadyline.clock import SystemClock
from steadyline.line import Line
from steadyline.settings import RedisSettings
from steadyline.store import Store
from trainer.banks import Banks
from trainer.child import Tell
from trainer.config import TrainerSettings
from trainer.job import Connections, run_job
from trainer.make import Workbench
from trainer.pseudo_maker import pseudo_maker


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
