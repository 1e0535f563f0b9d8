"""A training: its order, which the model event carries, and its outcome in the trainer's own work folder."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from steadyline.contracts.message import AwareDatetime, Part
from steadyline.contracts.model_event import Package
from steadyline.digest import sha256
from steadyline.errors import StoreUnavailable
from steadyline.grid import Grid
from steadyline.line import GateSection
from steadyline.replace_file import replace_file
from steadyline.telemetry.logs import get_logger
from trainer.data.banks import BankSpec
from trainer.progress import Progress

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
    labelled_digest: str | None = Field(None, exclude_if=lambda digest: digest is None)
    live: LivePackage | None
    known_banks: tuple[str, ...] = ()  # digests of banks that models of the product were made with
    ordered_at: AwareDatetime
    # Of the input, where it is not the height; ``size`` is the height then.
    width: int | None = Field(None, exclude_if=lambda width: width is None)

    @property
    def grid(self) -> Grid:
        """Height and width of the input, in pixels."""
        return Grid.of(self.size, self.width)

    def digest(self) -> str:
        """Return the name of this training's checkpoint: a digest of all that the weights depend on, and of
        nothing else.
        """
        fields = {"why", "live", "gate", "known_banks", "ordered_at"}
        return sha256(self.model_dump_json(exclude=fields).encode())

    def full_digest(self) -> str:
        """Return the name of this very order, of all that its outcome depends on."""
        return sha256(self.model_dump_json().encode())

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
    """The gate's figures of one model; ``detection`` is that at the model's own threshold.

    ``hidden`` and ``raised`` are the attacked figure by side: only defects hidden, only false alarms raised;
    an outcome of an earlier release has none. ``by_hiding`` marks a model of halves of which either may
    speak: it is judged by what hiding a defect takes. ``blind`` says why the model sees next to nothing of
    defects at the camera's own pixels.
    """

    clean: float
    attacked: float
    corrupted: float
    detection: float
    hidden: float | None = None
    raised: float | None = None
    by_hiding: bool = False
    blind: str | None = None


class LabelledFigures(Part):
    """What two models say of the frames that people judged, each at its own thresholds.

    ``lost`` are the frames of the defects that the live model finds and the candidate does not.
    """

    defects: int
    goods: int
    candidate_found: int
    candidate_alarms: int
    live_found: int | None = None
    live_alarms: int | None = None
    lost: list[str] = Field(default_factory=list)


class JobResult(Part):
    """What a finished training left."""

    version: int
    package: Package
    candidate: Figures
    live_version: int | None
    live: Figures | None
    floor: float | None = None  # certified AUROC of the certified detector on the same normals and frames
    notes: list[str]
    labelled: LabelledFigures | None = None


class JobFailure(Part):
    """Why a training cannot succeed however often it is tried."""

    version: int
    reason: str
    message: str


class _Outcome(Part):
    order: str  # the full digest of the order that it answers
    result: JobResult | None = None
    failure: JobFailure | None = None


class _Told(Part):
    order: str  # the full digest of the order that is being carried out
    phase: str
    done: int
    total: int


class _Made(Part):
    order: str  # the digest of the order that the bank was made for
    bank: str


class _Written(Part):
    order: str  # the digest of the order that the package was trained by
    package: Package


class JobFolder:
    """What the trainer and a training tell each other of the one job that a product can have, in files.

    The folder is the trainer's own, and of its trainings. What lies in the store is nobody's word: every
    scorer may write there.
    Methods raise StoreUnavailable when the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def order(self, spec: JobSpec) -> None:
        """Write the order down for the training."""
        self._put("order", spec)

    def spec(self) -> JobSpec | None:
        """Return the order that the training has to carry out, if any."""
        return self._get("order", JobSpec)

    def finish(self, spec: JobSpec, result: JobResult) -> None:
        """Write down the result of an order."""
        self._put("outcome", _Outcome(order=spec.full_digest(), result=result))

    def fail(self, spec: JobSpec, failure: JobFailure) -> None:
        """Write down why an order cannot succeed."""
        self._put("outcome", _Outcome(order=spec.full_digest(), failure=failure))

    def outcome(self, spec: JobSpec) -> JobResult | JobFailure | None:
        """Return what came of this very order; None while nothing did."""
        found = self._get("outcome", _Outcome)
        return found.result or found.failure if found and found.order == spec.full_digest() else None

    def tell(self, spec: JobSpec, progress: Progress) -> None:
        """Write down how far the training of an order is."""
        told = _Told(order=spec.full_digest(), phase=progress.phase, done=progress.done, total=progress.total)
        self._put("progress", told)

    def progress(self, spec: JobSpec) -> Progress:
        """Return how far the training of an order is; at the start while it has told nothing."""
        found = self._get("progress", _Told)
        if found is None or found.order != spec.full_digest():
            return Progress("start", 0, 0)
        return Progress(found.phase, found.done, found.total)

    def made(self, spec: JobSpec, bank: str) -> None:
        """Write down the digest of the bank that an order is trained with."""
        self._put("bank", _Made(order=spec.digest(), bank=bank))

    def banks(self, spec: JobSpec) -> frozenset[str]:
        """Return the digests of the banks that an order may be trained with, unless a new one is made."""
        found = self._get("bank", _Made)
        own = {found.bank} if found is not None and found.order == spec.digest() else set()
        return frozenset({*spec.known_banks, *own})

    def wrote(self, spec: JobSpec, package: Package) -> None:
        """Write down that the package of an order is complete."""
        self._put("package", _Written(order=spec.digest(), package=package))

    def package(self, spec: JobSpec) -> Package | None:
        """Return the package that was trained by the same order before, perhaps beside another live model."""
        found = self._get("package", _Written)
        return found.package if found is not None and found.order == spec.digest() else None

    def _put(self, part: str, content: Part) -> None:
        path = self._folder / f"{part}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, content.model_dump_json(indent=1).encode())
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be written: {error}") from error

    def _get(self, part: str, kind: type[P]) -> P | None:
        """Return the part; None when it is missing, or when another release wrote it in a form that this one
        cannot read: it is then made anew.
        """
        path = self._folder / f"{part}.json"
        try:
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be read: {error}") from error
        except ValidationError as error:
            log.error("unreadable_job", file=str(path), error=str(error))
            return None
