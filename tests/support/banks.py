"""Builders of small banks."""

from datetime import UTC, datetime

from steadyline.bank.entry import BankEntry, BankManifest


def an_entry(number: int, word: str = "a") -> BankEntry:
    """One entry whose bytes say whose bank it is of; newlines and zeros in them on purpose."""
    return BankEntry(
        id=f"{number:05d}",
        picture_png=b"\x89PNG\n\0" + f"{word}-{number}".encode() * 20,
        mask_png=b"\n\0" + word.encode(),
        source=f"normal-{number // 3}",
        transform="cutpaste",
        parameters={"angle": number / 7, "side": 12, "mode": "soft"},
        acceptance=0.25,
    )


def some_entries(count: int, word: str = "a") -> list[BankEntry]:
    """Entries in order of id."""
    return [an_entry(number, word) for number in range(count)]


def a_manifest(product: str, version: int, entries: int, digest: str = "d") -> BankManifest:
    """The manifest of such a bank."""
    return BankManifest(
        product=product,
        version=version,
        seed=7,
        size=64,
        channels="gray",
        per_normal=3,
        normals_uri="memory://x/normals",
        normals_digest="0" * 64,
        recipe={"margin": 0.2, "profile": "cpu"},
        acceptance={"cutpaste": 0.75},
        entries=entries,
        digest=digest,
        made_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
