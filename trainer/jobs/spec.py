"""A training as it lies in the store: its order and its outcome. Any trainer can take it up."""

from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from steadyline.contracts.message import AwareDatetime, Part
from steadyline.contracts.model_event import Package
from steadyline.digest import sha256
from steadyline.line import GateSection
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger
from trainer.data.banks import BankSpec

P = TypeVar("P", bound=Part)

log = get_logger(__name__)


class LivePackage(Part):
    """The model that a candidate is measured against."""

    version: int
    package: Package


class JobSpec(Part):
    """Everything a training depends on: the same spec gives the same model."""

    product: str
    version: int
    why: str
    detector: str
    profile: str
    steps: int | None
    overrides: dict[str, float | int | str | bool] = Field(default_factory=dict)
    seed: int
    size: int
    channels: Literal["gray", "rgb"]
    false_alarm_rate: float
    gate: GateSection
    snapshot_uri: str
    snapshot_digest: str
    live: LivePackage | None
    ordered_at: AwareDatetime

    def digest(self) -> str:
        """Return the name of this training's checkpoint: a digest of all that the weights depend on, and of
        nothing else.
        """
        fields = {"why", "live", "gate", "ordered_at"}
        return sha256(self.model_dump_json(exclude=fields).encode())

    def bank_spec(self) -> BankSpec:
        """Return what the bank of this training is made of."""
        return BankSpec(
            product=self.product,
            channels=self.channels,
            detector=self.detector,
            profile=self.profile,
            seed=self.seed,
            snapshot_uri=self.snapshot_uri,
            snapshot_digest=self.snapshot_digest,
        )


class Figures(Part):
    """The gate's figures of one model."""

    clean: float
    attacked: float
    corrupted: float


class JobResult(Part):
    """What a finished training left."""

    version: int
    package: Package
    candidate: Figures
    live_version: int | None
    live: Figures | None
    floor: float | None = None  # certified AUROC of the certified detector on the same normals and frames
    notes: list[str]


class JobFailure(Part):
    """Why a training cannot succeed however often it is tried."""

    version: int
    reason: str
    message: str


class Jobs:
    """The one job a product can have at a time."""

    def __init__(self, store: Store, product: str) -> None:
        self._store, self._product = store, product

    def order(self, spec: JobSpec) -> None:
        """Write the order down; it stands until ``close``."""
        self._put("spec", spec)

    def spec(self) -> JobSpec | None:
        """Return the open order, if any."""
        return self._get("spec", JobSpec)

    def finish(self, result: JobResult) -> None:
        """Write down the result of the open order."""
        self._put("result", result)

    def result(self, version: int) -> JobResult | None:
        """Return the result of the order for ``version``, if it has one."""
        found = self._get("result", JobResult)
        return found if found is not None and found.version == version else None

    def fail(self, failure: JobFailure) -> None:
        """Write down why the open order cannot succeed."""
        self._put("failure", failure)

    def failure(self, version: int) -> JobFailure | None:
        """Return why the order for ``version`` cannot succeed; None when no failure was written down."""
        found = self._get("failure", JobFailure)
        return found if found is not None and found.version == version else None

    def reopen(self) -> None:
        """Forget the result, so that the order is carried out again; the training then resumes."""
        self._store.delete(self._key("result"))

    def close(self) -> None:
        """Delete the answered order and what came of it; the order goes first, because a result without an
        order means nothing.
        """
        for part in ("spec", "result", "failure"):
            self._store.delete(self._key(part))

    def _key(self, part: str) -> str:
        return f"jobs/{self._product}/{part}.json"

    def _put(self, part: str, content: Part) -> None:
        self._store.put(self._key(part), content.model_dump_json(indent=1).encode(), "application/json")

    def _get(self, part: str, kind: type[P]) -> P | None:
        """Return the part; None when it is missing, or when another release wrote it in a form that this one
        cannot read: it is then made anew.
        """
        key = self._key(part)
        if not self._store.exists(key):
            return None
        try:
            return kind.model_validate_json(self._store.get(key))
        except ValidationError as error:
            log.error("unreadable_job", file=self._store.uri(key), error=str(error))
            self._store.delete(key)
            return None
