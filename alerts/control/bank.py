"""The bank of a product as people see it: what it holds, and how much of it the live model finds."""

from typing import Protocol

from pydantic import AwareDatetime, BaseModel, Field

from alerts.database.seen_models import SeenModels
from steadyline.bank.entry import BankManifest


class BankReads(Protocol):
    """What is needed of the bank; see ``steadyline.bank.entry.Bank``."""

    def current(self, product: str) -> BankManifest | None:
        """Return the manifest of the current bank; raises BankUnavailable."""
        ...

    def holder(self, product: str) -> str | None:
        """Return which trainer serves the product; raises BankUnavailable."""
        ...


class BankTransform(BaseModel):
    """One kind of pseudo-anomaly."""

    name: str
    acceptance: float | None = Field(description="Share of those made that differed enough from the normals.")
    detection: float | None = Field(description="Share of them that the live model finds, by the last watch.")


class BankView(BaseModel):
    """The bank of pseudo-anomalies of one product."""

    product: str
    version: int | None = Field(description="Version of the bank; null when there is none, or it was lost.")
    entries: int | None = Field(description="Pseudo-anomalies in it.")
    made_at: AwareDatetime | None = Field(description="When it was made.")
    digest: str | None = Field(description="SHA-256 of its entries, hex.")
    seed: str | None = Field(description="What it can be made from again, byte for byte.")
    trainer: str | None = Field(description="The trainer that serves the product now.")
    transforms: list[BankTransform]
    watched_at: AwareDatetime | None = Field(description="When the last watch ended.")
    watched_version: int | None = Field(description="The version of the model that was asked.")
    state: str | None = Field(description="seeing or blind, by the last watch.")
    false_alarm_rate: float | None = Field(description="Share of held-out normals that the model alarms on.")


def bank_view(
    product: str, manifest: BankManifest | None, trainer: str | None, models: SeenModels | None
) -> BankView:
    """Return what is shown of a product's bank."""
    acceptance = manifest.acceptance if manifest is not None else {}
    health = models.health if models is not None else None
    detection = health.detection if health is not None else {}
    names = sorted({*acceptance, *detection})
    return BankView(
        product=product,
        version=manifest.version if manifest is not None else None,
        entries=manifest.entries if manifest is not None else None,
        made_at=manifest.made_at if manifest is not None else None,
        digest=manifest.digest if manifest is not None else None,
        seed=str(manifest.seed) if manifest is not None else None,
        trainer=trainer,
        transforms=[
            BankTransform(name=name, acceptance=acceptance.get(name), detection=detection.get(name))
            for name in names
        ],
        watched_at=health.at if health is not None else None,
        watched_version=health.version if health is not None else None,
        state=health.state if health is not None else None,
        false_alarm_rate=health.false_alarm_rate if health is not None else None,
    )
