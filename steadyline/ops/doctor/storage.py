"""Check that Redis suits the bank, that the banks are there, and that the store can be written."""

import uuid

from steadyline.bank.entry import Bank
from steadyline.bank.redis import RedisMemory
from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import StoreUnavailable
from steadyline.ops.doctor.finding import Report
from steadyline.store import Store

MOST_FULL = 0.8  # room must be left, because a new bank is written beside the old one


def judge_memory(memory: RedisMemory, report: Report) -> None:
    """Check that Redis has room and refuses writes when full: evicted entries are holes in a bank."""
    report.judge(
        "Redis' eviction policy",
        memory.policy == "noeviction",
        memory.policy,
        "CONFIG SET maxmemory-policy noeviction, and in its configuration",
    )
    share = memory.used / memory.limit if memory.limit else 0.0
    limit = f"{memory.limit / 2**20:.0f} MiB" if memory.limit else "no limit"
    report.judge(
        "Redis' memory",
        share <= MOST_FULL,
        f"{memory.used / 2**20:.0f} MiB used, {limit}",
        "raise maxmemory: it must hold the old and the new bank of every product at once",
    )


def look_at_bank(product: str, bank: Bank, event: ModelEvent | None, report: Report) -> None:
    """Check that the current bank is there, unless the product has no model. Errors pass through."""
    check = f"bank of {product}"
    manifest = bank.current(product)
    if manifest is not None:
        entries = len(bank.read(product, manifest.version, limit=1))
        report.judge(
            check,
            entries == 1,
            f"version {manifest.version}, {manifest.entries} pseudo-anomalies",
            REBUILD.format(product),
        )
    elif event is None or not event.models:
        report.skipped(check, "none yet: the first training makes it")
    else:
        report.failed(check, "lost: Redis has no pointer to a bank", REBUILD.format(product))


REBUILD = "`steadyline bank rebuild {}` makes it again, byte for byte, from the store and the seed"


def look_at_store(store: Store, report: Report) -> None:
    """Write, read back and remove one small object; raises StoreUnavailable."""
    key, mark = f"doctor/{uuid.uuid4().hex}", uuid.uuid4().bytes
    store.put(key, mark)
    try:
        if store.get(key) != mark:
            raise StoreUnavailable(f"{store.uri(key)} came back changed")
    finally:
        store.delete(key)
    report.ok("store", f"{store.url} can be written and read")
