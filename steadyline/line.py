"""The line file: one YAML file that every service reads, with errors that name line and field."""

import os
import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from steadyline.contracts.frame import NAME
from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import InvalidConfiguration
from steadyline.yaml_lines import Location, parse_yaml

WhenBehind = Literal["block", "drop_oldest", "drop_newest", "spool"]
DEFAULT_DETECTOR = "robust"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 3650 * 86400


def parse_duration(value: Any) -> Any:
    """Turn ``30s``, ``15m``, ``24h`` or ``7d`` into a timedelta; a number means seconds."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", value)
    if match is None or float(match[1]) * _UNITS[match[2]] > _LONGEST:
        raise ValueError("no duration: write 30s, 15m, 24h or 7d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def parse_fraction(value: Any) -> Any:
    """Turn ``2/255`` into a float; pydantic handles everything else."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?/ ?(\d{1,9})", value) if isinstance(value, str) else None
    if match is None:
        return value
    if int(match[2]) == 0:
        raise ValueError("a fraction of zero parts")
    return float(match[1]) / int(match[2])


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0))]
Interval = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(seconds=1))]
Epsilon = Annotated[float, BeforeValidator(parse_fraction), Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TopicSection(_Section):
    """Topic names and partition counts."""

    prefix: Name = Field("steadyline", description="Prefix of every topic name.")
    partitions: int = Field(8, ge=1, le=512, description="Partitions of frames, scores and dead-letters.")


class PictureSection(_Section):
    """What the model gets of a frame, and the limits that are checked before anything is decoded."""

    size: int = Field(64, ge=16, le=1024, description="Height and width of the model's input, in pixels.")
    channels: Literal["gray", "rgb"] = Field("gray", description="Channels of the model's input.")
    max_bytes: int = Field(6 << 20, ge=1024, le=7 << 20, description="Largest encoded picture accepted.")
    max_pixels: int = Field(40_000_000, ge=1024, description="Most pixels accepted, read from the header.")


class RetrainSection(_Section):
    """When a product is trained again."""

    every: Interval | None = Field(None, description="Retrain on a schedule, 24h for example.")
    after_normals: int | None = Field(
        None, ge=1, description="Retrain after this many new confident normals."
    )
    quarantine: Duration = Field(
        timedelta(hours=1), description="How long a new normal waits before training may use it."
    )
    reservoir: int = Field(500, ge=10, description="Most stream normals kept for training.")


class GateSection(_Section):
    """What a candidate must reach in comparison with the live model, on the same held-out frames."""

    clean_drop: float = Field(0.01, ge=0, le=1, description="Largest loss of clean AUROC accepted.")
    robust_drop: float = Field(0.02, ge=0, le=1, description="Largest loss of attacked AUROC accepted.")
    floor_drop: float = Field(
        0.4,
        ge=0,
        le=1,
        description="How far the attacked AUROC may be under what the certified detector proves.",
    )
    epsilon: Epsilon = Field(2 / 255, description="Size of the attack, l_inf.")
    steps: int = Field(20, ge=1, description="PGD steps of the gate's attack.")


class WatchSection(_Section):
    """How the monitor watches the live model."""

    every: Interval = Field(timedelta(seconds=60), description="Time between two rounds.")
    samples: int = Field(16, ge=2, description="Pseudo-anomalies and normals per round, each.")
    floor: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of its detection rate at the training under which a model counts as blind.",
    )


class Product(_Section):
    """One product: its picture, its detector, and its rates."""

    picture: PictureSection = PictureSection()
    detector: str = Field(
        DEFAULT_DETECTOR,
        description="Detector that gives score and verdict: one that the trainer registers.",
    )
    map_detector: str | None = Field(
        None,
        description="Second detector, which gives the map in the same graph; by default the first one does.",
    )
    profile: str = Field(
        "cpu", description="cpu (minutes on two cores) or paper (the paper's recipe, a GPU)."
    )
    steps: int | None = Field(
        None, ge=10, description="Training steps of each detector; by default those of the profile."
    )
    normals: str | None = Field(None, description="Folder in MVTec layout with the first training frames.")
    retrain: RetrainSection = RetrainSection()
    false_alarm_rate: float = Field(
        0.01, gt=0, lt=1, description="Share of normal frames that may be called anomalous, per camera."
    )
    evidence_sample: float = Field(
        0.02, ge=0, le=1, description="Fraction of normal frames whose picture and map are kept too."
    )
    gate: GateSection = GateSection()
    watch: WatchSection = WatchSection()

    @field_validator("detector", "map_detector")
    @classmethod
    def _check_detector(cls, name: str | None, info: ValidationInfo) -> str | None:
        known = (info.context or {}).get("detectors")
        if name is not None and known is not None and name not in known:
            raise ValueError(f"there is no detector {name!r}; there are {', '.join(sorted(known))}")
        return name

    @property
    def detectors(self) -> str:
        """The detector's name in orders, cards and events: ``robust+daf`` when a second one gives the map."""
        return pair_name(self.detector, self.map_detector)


class CameraSection(_Section):
    """One camera."""

    id: Name = Field(description="Name of the camera, unique in the line.")
    product: Name = Field(description="Product that the camera looks at.")
    source: str = Field(description="folder:, video:, rtsp://, usb: or synthetic: with options after '?'.")
    when_behind: WhenBehind = Field("drop_oldest", description="What to do when the broker cannot keep up.")
    encode: str = Field(
        "jpeg:92", description="png, or jpeg:QUALITY; encoded sources pass through untouched."
    )


class Line(_Section):
    """One production line."""

    line: Name = Field(description="Name of the line; part of every message's source.")
    topics: TopicSection = TopicSection()
    store: str = Field(
        "file://./var/store",
        pattern=r"^[a-z][a-z0-9+]*://.+",
        description="fsspec address of the store; a relative file:// is taken from the line file's folder.",
    )
    products: dict[Name, Product] = Field(min_length=1, description="Name → what its frames must be.")
    cameras: list[CameraSection] = Field(
        default_factory=list, description="The cameras; where any is listed, a frame of another is refused."
    )

    @model_validator(mode="after")
    def _check_cameras(self) -> "Line":
        seen: set[str] = set()
        for index, camera in enumerate(self.cameras):
            if camera.product not in self.products:
                known = ", ".join(sorted(self.products))
                raise _wrong_camera(index, "product", f"no product {camera.product!r}; there are {known}")
            if camera.id in seen:
                raise _wrong_camera(index, "id", f"camera {camera.id!r} is listed twice")
            seen.add(camera.id)
        return self

    def kafka_topics(self) -> Topics:
        """Return the topics of this line."""
        return line_topics(self.topics.prefix, self.topics.partitions)


def pair_name(detector: str, map_detector: str | None) -> str:
    """Return the one name of two detectors, or of one that also gives its own map."""
    return detector if map_detector in (None, detector) else f"{detector}+{map_detector}"


def load_line(path: Path, detectors: Collection[str] | None = None) -> Line:
    """Read a line file. A relative ``file://`` store starts from the folder of the line file.

    ``detectors`` are the names that products may choose from; only the trainer has them and can check this.
    Raises InvalidConfiguration with ``file:line: field: what is wrong`` for every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(f"the line file {path} is no UTF-8: {error.reason}") from error
    except OSError as error:
        raise InvalidConfiguration(f"the line file {path} cannot be read: {error.strerror}") from error
    places = parse_yaml(text, str(path))
    try:
        line = Line.model_validate(places.data, context={"detectors": detectors})
    except ValidationError as error:
        problems = [(_location(item), _problem(item)) for item in error.errors()]
        raise InvalidConfiguration(
            "\n".join(
                f"{path}:{places.line_of(location)}: {'.'.join(map(str, location)) or 'file'}: {problem}"
                for location, problem in problems
            )
        ) from error
    return line.model_copy(update={"store": _absolute_store(line.store, path.parent)})


def _wrong_camera(index: int, field: str, problem: str) -> PydanticCustomError:
    context = {"at": ("cameras", index, field)}
    return PydanticCustomError("wrong_camera", problem.replace("{", "(").replace("}", ")"), context)


def _location(item: ErrorDetails) -> Location:
    at: Location = item.get("ctx", {}).get("at", ())
    return (*item["loc"], *at)


def _problem(item: ErrorDetails) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown field"
    return item["msg"].removeprefix("Value error, ")


def _absolute_store(store: str, folder: Path) -> str:
    if not store.startswith("file://"):
        return store
    return "file://" + os.path.abspath(folder / store.removeprefix("file://"))
