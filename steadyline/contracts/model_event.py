"""The models of one product: their state, package, thresholds, lineage and recent history."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, FiniteFloat, ValidationInfo, field_validator, model_validator

from steadyline.contracts.message import (
    MOST_EXACT,
    AwareDatetime,
    Digest,
    Items,
    JsonMessage,
    Name,
    Part,
    Table,
    Uri,
    Version,
    Word,
)
from steadyline.contracts.station import Station, StationReference
from steadyline.grid import Grid

ModelState = Literal["candidate", "shadow", "canary", "live", "retired", "rejected"]

PRODUCT_WIDE = "*"
SAME_SCORE = 1e-6  # scores are kept with seven digits

# Far above what a trainer writes, this release's or an earlier one's: nothing of an event may be refused.
Text = Annotated[str, Field(max_length=20_000)]
FigureName = Annotated[str, Field(max_length=200)]
MOST_FIGURES = 1_000
MOST_CAMERAS = 10_000
MOST_LISTED = 1_000  # versions, changes, probes, files of a package
MOST_PICTURE = 4 << 20  # characters; the topic takes no larger message


def conformal_rank(scores: int, rate: float) -> int:
    """Return which of so many ascending scores (from 1) a normal exceeds with a chance of ``rate``."""
    return max(1, min(scores, math.ceil((scores + 1) * (1 - rate) - 1e-9)))


class Calibration(Part):
    """Held-out normal scores, ascending, of one camera or of the whole product (key ``*``)."""

    scores: Items[FiniteFloat] = Field(
        min_length=1, max_length=2000, description="Scores of held-out normals."
    )
    threshold: FiniteFloat = Field(description="A score above it is anomalous.")
    achieved_rate: float = Field(
        gt=0, le=1, description="False-alarm rate the threshold bounds: max(wanted, 1/(n+1))."
    )
    rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="False-alarm rate the threshold was chosen for; absent in an event of release 0.1.",
        exclude_if=lambda rate: rate is None,
    )

    @model_validator(mode="after")
    def _follows_from_its_scores(self) -> "Calibration":
        if any(before > after for before, after in pairwise(self.scores)):
            raise ValueError("the scores are not ascending")
        due = self.scores[conformal_rank(len(self.scores), self.rate or self.achieved_rate) - 1]
        if not math.isclose(self.threshold, due, rel_tol=SAME_SCORE):
            raise ValueError(f"the threshold {self.threshold:g} is not {due:g}, which the scores give")
        return self


def calibration_of(camera: str, calibrations: Mapping[str, Calibration]) -> Calibration:
    """Return the camera's own calibration, or that of the product."""
    return calibrations.get(camera) or calibrations[PRODUCT_WIDE]


class Probe(Part):
    """A prepared picture with a known answer: self-test after a load, and the scorer's readiness."""

    picture_png: str = Field(max_length=MOST_PICTURE, description="Base64 of the prepared picture as PNG.")
    score: FiniteFloat = Field(description="The score that the model must give.")
    tolerance: FiniteFloat = Field(gt=0, description="How far from it an answer may be.")
    certified_score: FiniteFloat | None = Field(
        None,
        description="The score that the certified part must give, up to what float32 rounds.",
        exclude_if=lambda score: score is None,
    )


class EncodedProbe(Part):
    """A frame as a camera sends it, with the score that the trainer gave to its bytes."""

    encoding: Word = Field(description="How it is encoded: jpeg, png, colour-png, ...")
    frame: str = Field(max_length=MOST_PICTURE, description="Base64 of the encoded frame.")
    score: FiniteFloat = Field(description="The score that decoding, preparing and the model must give.")
    tolerance: FiniteFloat = Field(gt=0, description="How far from it a score may be.")
    x: float = Field(ge=0, lt=1, description="Where the map is highest, in widths of the frame.")
    y: float = Field(ge=0, lt=1, description="Where the map is highest, in heights of the frame.")


class Package(Part):
    """Where a model package is and what each of its files must hash to."""

    uri: Uri = Field(description="Folder of the package in the store.")
    digests: Table[FigureName, Digest] = Field(
        max_length=MOST_LISTED, description="File name → SHA-256, hex."
    )


class Model(Part):
    """One version of a product's model."""

    version: Version = Field(description="Number within the product, never given twice.")
    detector: Word = Field(description="Detector that was trained.")
    state: ModelState = Field(description="Where the version stands; shadow and canary are kept for later.")
    reason: Text = Field(description="Why it stands there.")
    trained_at: AwareDatetime = Field(description="When its training ended.")
    size: int = Field(
        ge=8, le=4096, description="Height of the input in pixels; its width too, where no width is told."
    )
    channels: Literal["gray", "rgb"] = Field(description="Channels of the input.")
    package: Package
    threshold_version: Version = Field(description="Grows when thresholds change within the version.")
    calibrations: Table[Name, Calibration] = Field(
        max_length=MOST_CAMERAS, description="Camera, or * for the whole product → calibration."
    )
    probes: Items[Probe] = Field(
        max_length=MOST_LISTED, description="Known answers, checked before every use."
    )
    lineage: Table[FigureName, Text] = Field(
        max_length=MOST_FIGURES, description="data, bank, code digests, seed, profile, bank version."
    )
    figures: Table[FigureName, float] = Field(
        max_length=MOST_FIGURES, description="clean_auroc, pgd_auroc_2/255, pgd_auroc_4/255, ..."
    )
    certified_calibrations: Table[Name, Calibration] = Field(
        default_factory=dict,
        max_length=MOST_CAMERAS,
        description="The same of the output certified_score; absent where the model has no certified part.",
        exclude_if=lambda calibrations: not calibrations,
    )
    width: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="Width of the input in pixels, where it is not the height; size is the height then.",
        exclude_if=lambda width: width is None,
    )

    halves: Items[Word] = Field(
        default_factory=list,
        max_length=2,
        description="Names of the two halves whose scores are the output halves, in its order; absent where "
        "the score has one source.",
        exclude_if=lambda halves: not halves,
    )
    references: Table[Name, StationReference] = Field(
        default_factory=dict,
        max_length=MOST_CAMERAS,
        description="Camera, or * for the whole product → what its normals looked like at the training; "
        "absent in a model of an earlier release.",
        exclude_if=lambda references: not references,
    )
    encoded_probes: Items[EncodedProbe] = Field(
        default_factory=list,
        max_length=MOST_LISTED,
        description="Frames in several encodings with their scores, checked before the version is used; "
        "absent in a model of an earlier release.",
        exclude_if=lambda probes: not probes,
    )
    stations: Table[Name, Station] = Field(
        default_factory=dict,
        max_length=MOST_CAMERAS,
        description="Camera → how its pictures and threshold are put right; absent where none is.",
        exclude_if=lambda stations: not stations,
    )
    ordered_since: Table[Name, Version] = Field(
        default_factory=dict,
        max_length=MOST_CAMERAS,
        description="Camera → the threshold version since which it is put right as the last order says, "
        "taken back included; absent where none was given. Scores of earlier ones say nothing of it.",
        exclude_if=lambda since: not since,
    )

    @field_validator("calibrations", "certified_calibrations")
    @classmethod
    def _has_one_for_the_product(
        cls, found: dict[str, Calibration], info: ValidationInfo
    ) -> dict[str, Calibration]:
        if PRODUCT_WIDE not in found and (found or info.field_name == "calibrations"):
            raise ValueError(f"there is no calibration of the whole product ({PRODUCT_WIDE!r})")
        return found

    @model_validator(mode="after")
    def _shifts_no_threshold_out_of_its_scores(self) -> "Model":
        for camera, station in self.stations.items():
            scores = calibration_of(camera, self.calibrations).scores
            if abs(station.threshold_shift) > scores[-1] - scores[0]:
                raise ValueError(
                    f"the threshold of camera {camera!r} is shifted by {station.threshold_shift:g}, and its "
                    f"scores span {scores[-1] - scores[0]:g}"
                )
        return self

    @property
    def grid(self) -> Grid:
        """Height and width of the input, in pixels."""
        return Grid.of(self.size, self.width)

    @property
    def is_certified(self) -> bool:
        """True when the served graph has a certified part, and with it the output ``certified_score``."""
        return bool(self.certified_calibrations)


class Change(Part):
    """One step in the life of a version, with its reason."""

    at: AwareDatetime = Field(description="When it happened.")
    version: Version = Field(description="The version that changed.")
    before: ModelState | None = Field(description="State before; null when the version is new.")
    after: ModelState = Field(description="State after; the same where an order was refused.")
    reason: Text = Field(description="Why; begins with one fixed word where something was refused.")
    figures: Table[FigureName, float] = Field(
        default_factory=dict,
        max_length=MOST_FIGURES,
        description="Figures of the step: the model's own, or the gate's of both models.",
    )


class Health(Part):
    """What the watch last found: does the live model still see known anomalies?"""

    at: AwareDatetime = Field(description="When the round ended.")
    version: Version = Field(description="The version that was asked.")
    state: Literal["seeing", "blind"] = Field(description="What the watch concludes.")
    reason: Text = Field(description="Why it concludes so.")
    detection: Table[FigureName, float] = Field(
        max_length=MOST_FIGURES, description="Transform → detection rate."
    )
    false_alarm_rate: float = Field(description="Fraction of held-out normals over the threshold.")


class TrainingOrder(Part):
    """The training that is open; whoever holds the lease carries it out."""

    version: Version = Field(description="The version that it makes.")
    spec: Text = Field(description="All that it depends on: JSON that the trainer reads.")


class ModelEvent(JsonMessage):
    """Everything known of one product's models; the newest event per product is the truth (compacted)."""

    TYPE: ClassVar[str] = "com.steadyline.model-event.v1"

    product: Name = Field(description="Product of the line file.")
    at: AwareDatetime = Field(description="When this was announced.")
    live_version: Version | None = Field(description="The version in service; null while there is none.")
    models: Items[Model] = Field(
        max_length=MOST_LISTED, description="The versions kept, ascending; rejected ones for their figures."
    )
    changes: Items[Change] = Field(
        max_length=MOST_LISTED, description="The last changes, oldest first, 200 at most."
    )
    health: Health | None = None
    order: TrainingOrder | None = Field(None, exclude_if=lambda order: order is None)
    commands_until: int = Field(
        0,
        ge=0,
        le=(1 << 63) - 1,
        description="Offset after the last command of the product that was acted on or refused.",
    )
    commands_topic: str = Field(
        "",
        max_length=64,
        description="Id of the topic that commands_until is an offset of; earlier releases have none.",
        exclude_if=lambda topic: topic == "",
    )
    sequence: int = Field(
        0,
        ge=0,
        le=MOST_EXACT,
        description="Grows with each event of the product; 0 is of an earlier release. A signed event with a "
        "smaller one than is known was on the topic before, and is ignored.",
        exclude_if=lambda sequence: sequence == 0,
    )
    fencing_token: int = Field(
        0,
        ge=0,
        le=MOST_EXACT,
        description="Grows with each trainer that takes the product over; of two events the one with the "
        "smaller token is of a trainer that has lost its lease, and is ignored. 0 is of an earlier release.",
        exclude_if=lambda token: token == 0,
    )

    best: Table[FigureName, float] = Field(
        default_factory=dict,
        max_length=MOST_FIGURES,
        description="The best that each figure of the gate was in a version that went live.",
        exclude_if=lambda best: not best,
    )

    def live(self) -> Model | None:
        """Return the model in service, or None."""
        return next((model for model in self.models if model.version == self.live_version), None)

    def is_stale(self, known: "ModelEvent | None") -> bool:
        """Return True when a trainer wrote this that had lost its lease to the writer of ``known``."""
        return known is not None and self.fencing_token < known.fencing_token
