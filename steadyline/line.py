"""The line file: one YAML file that every service reads, with errors that name line and field."""

import math
import os
import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from steadyline.alert_rules import LineAlerts, ProductAlerts
from steadyline.contracts.frame import NAME
from steadyline.contracts.topics import Replication, Topics, line_topics, shadowed_prefix
from steadyline.errors import InvalidConfiguration
from steadyline.grid import DEFAULT_GRID, LEAST_SIDE, MOST_GRID_PIXELS, Grid, parse_grid
from steadyline.line_fields import Duration, Epsilon, GridSides, Interval, LineSection, Name
from steadyline.part_pattern import check_part_pattern
from steadyline.picture_folder import printable
from steadyline.setting_text import read_text_file
from steadyline.yaml_lines import Location, parse_yaml

WhenBehind = Literal["block", "drop_oldest", "drop_newest", "spool"]
DEFAULT_DETECTOR = "robust"  # of a line file that names none: what it has had since it was written
NEW_DETECTOR = "either"  # of a new line, and of a training by hand
_LARGEST_SQUARE = math.isqrt(MOST_GRID_PIXELS)
_BARE = re.compile(r"[a-z0-9+]+://[^@?#%:]*(:\d{1,5}(/[^@?#%:]*)?)?")  # a store without user or token
_STORE = r"^[a-z][a-z0-9+]*://.+"
_WRITTEN_AS = {
    f"^{NAME.pattern}$": "a name has a-z, 0-9, '.', '_' and '-', 64 at most; a letter or digit at both ends",
    _STORE: "must be an address, file://./var/store or s3://bucket/folder for example",
}


class TopicSection(LineSection):
    """Topic names and partition counts."""

    prefix: Name = Field("steadyline", description="Prefix of every topic name.")
    partitions: int = Field(8, ge=1, le=512, description="Partitions of frames, scores and dead-letters.")
    replication_factor: int | None = Field(
        None,
        ge=1,
        le=15,
        description="On how many brokers each partition lies: 3 where a line must outlive a broker. By "
        "default the broker decides.",
    )
    min_insync_replicas: int | None = Field(
        None,
        ge=1,
        le=15,
        description="How many of these must have a message before it counts: 2 of 3. With fewer nothing is "
        "written until they are back. By default the broker decides.",
    )

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if (problem := shadowed_prefix(prefix)) is not None:
            raise ValueError(problem)
        return prefix

    @model_validator(mode="after")
    def _check_replicas(self) -> "TopicSection":
        factor, least = self.replication_factor, self.min_insync_replicas
        if least is not None and factor is None:
            raise ValueError("min_insync_replicas is set and replication_factor is not: set both, 2 and 3")
        if least is not None and factor is not None and least > factor:
            raise ValueError(
                f"min_insync_replicas is {least}, but a partition has {factor} replicas: nothing could ever "
                "be written; set it to 2 where there are 3"
            )
        return self

    @property
    def replication(self) -> Replication:
        """Both as the topics carry them."""
        return Replication(self.replication_factor, self.min_insync_replicas)


class PictureSection(LineSection):
    """What the model gets of a frame, and the limits that are checked before anything is decoded."""

    grid: GridSides = Field(
        DEFAULT_GRID,
        description="Height and width of the model's input in pixels, 512x208 for example, with the "
        "proportions of the frames.",
    )
    size: int | None = Field(
        None,
        ge=LEAST_SIDE,
        le=_LARGEST_SQUARE,
        description="Side of a square grid, in pixels; the short form of grid, one of the two.",
    )
    channels: Literal["gray", "rgb"] = Field("gray", description="Channels of the model's input.")
    max_bytes: int = Field(6 << 20, ge=1024, le=7 << 20, description="Largest encoded picture accepted.")
    max_pixels: int = Field(40_000_000, ge=1024, description="Most pixels accepted, read from the header.")

    @model_validator(mode="before")
    @classmethod
    def _square_of_its_size(cls, given: Any) -> Any:
        """Fill in the grid that a size stands for; both may be there where they say the same."""
        size = given.get("size") if isinstance(given, dict) else None
        if type(size) is not int or not LEAST_SIDE <= size <= _LARGEST_SQUARE:
            return given  # size itself says what is wrong with it
        if "grid" in given and parse_grid(given["grid"]) != Grid.square(size):
            raise ValueError("size and grid are both set: size is the short form of a square grid, keep one")
        return {**given, "grid": Grid.square(size)}


class RetrainSection(LineSection):
    """When a product is trained again."""

    every: Interval | None = Field(None, description="Retrain on a schedule, 24h for example.")
    after_normals: int | None = Field(
        None, ge=1, description="Retrain after this many new confident normals."
    )
    after_labels: int | None = Field(
        None, ge=1, description="Retrain after so many frames were labelled good or a defect."
    )
    quarantine: Duration = Field(
        timedelta(hours=1),
        description="How long a new normal waits, by the broker's clock, before training may use it.",
    )
    reservoir: int = Field(
        500,
        ge=10,
        description="Most stream normals kept for training; a camera gives a seventh of them a day at most.",
    )
    guard: bool = Field(
        True,
        description="Leave out, and name, the normals that are too far from all others; by default true.",
    )


class GateSection(LineSection):
    """What a candidate must reach in comparison with the live model, on the same held-out frames."""

    clean_drop: float = Field(0.01, ge=0, le=1, description="Largest loss of clean AUROC accepted.")
    robust_drop: float = Field(0.02, ge=0, le=1, description="Largest loss of attacked AUROC accepted.")
    detection_drop: float = Field(
        0.1, ge=0, le=1, description="Largest loss of detection at the threshold accepted."
    )
    total_drop: float = Field(
        0.1,
        ge=0,
        le=1,
        description="How far a figure may be under the best that any version had when it went live; for the "
        "detection, detection_drop is added.",
    )
    per_day: int = Field(6, ge=1, description="Most versions that may go live within a day by themselves.")
    floor_drop: float = Field(
        0.4,
        ge=0,
        le=1,
        description="How far the attacked AUROC may be under what the certified detector proves.",
    )
    labelled_drop: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Largest share of the labelled defects that the live model finds which may be lost.",
    )
    require_licence: bool = Field(
        False,
        description="Put no version in service whose weights have no known licence.",
        exclude_if=lambda required: not required,
    )
    accept_blind: bool = Field(
        False,
        description="Put a version in service, and keep it there, though it sees next to nothing of what its "
        "training draws at the camera's own pixels: for a product whose real defects it is known to see.",
        exclude_if=lambda accepted: not accepted,
    )
    epsilon: Epsilon = Field(2 / 255, description="Size of the attack, l_inf.")
    steps: int = Field(20, ge=1, description="PGD steps of the gate's attack.")


class WatchSection(LineSection):
    """How the monitor watches the live model."""

    every: Interval = Field(timedelta(seconds=60), description="Time between two rounds.")
    samples: int = Field(16, ge=2, description="Pseudo-anomalies and normals per round, each.")
    floor: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of its detection rate at the training under which a model counts as blind; one "
        "that finds less than a tenth is blind whatever it found then.",
    )
    follow: bool = Field(
        False,
        description="Let the threshold of each camera follow the slow drift of its own scores; by default it "
        "moves by orders alone.",
    )
    follow_every: Interval = Field(
        timedelta(hours=6),
        description="Time between two looks at the scores; each step begins a new version of the thresholds.",
    )
    follow_step: float = Field(
        0.1,
        gt=0,
        le=1,
        description="How far a threshold may move in a day, as a share of its distance from the median of "
        "the held-out normals.",
    )


class Product(LineSection):
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
    companion: Literal["certified"] | None = Field(
        None,
        description="certified puts it beside the detector in the same graph: each score then says for how "
        "large a change of the frame its certified verdict is proven; a certified detector does so anyway.",
    )
    profile: str = Field(
        "cpu", description="cpu (minutes on two cores) or paper (the paper's recipe, a GPU)."
    )
    steps: int | None = Field(
        None, ge=10, description="Training steps of each detector; by default those of the profile."
    )
    normals: str | None = Field(
        None,
        description="Folder of the first training frames; a relative one starts from the line file's folder.",
    )
    retrain: RetrainSection = RetrainSection()
    false_alarm_rate: float = Field(
        0.01, gt=0, lt=1, description="Share of normal frames that may be called anomalous, per camera."
    )
    evidence_sample: float = Field(
        0.02, ge=0, le=1, description="Fraction of normal frames whose picture and map are kept too."
    )
    gate: GateSection = GateSection()
    watch: WatchSection = WatchSection()
    alerts: ProductAlerts = ProductAlerts()

    @field_validator("detector", "map_detector")
    @classmethod
    def _check_detector(cls, name: str | None, info: ValidationInfo) -> str | None:
        known = (info.context or {}).get("detectors")
        if name is not None and known is not None and name not in known:
            raise ValueError(f"there is no detector {name!r}; there are {', '.join(sorted(known))}")
        return name

    @property
    def detectors(self) -> str:
        """The detector's name in orders, cards and events: ``robust+daf`` when a second one gives the map,
        ``robust&certified`` when there is a companion.
        """
        return whole_name(self.detector, self.map_detector, self.companion)


class CameraSection(LineSection):
    """One camera."""

    id: Name = Field(description="Name of the camera, unique in the line.")
    product: Name = Field(description="Product that the camera looks at.")
    source: str = Field(description="folder:, video:, rtsp://, usb: or synthetic: with options after '?'.")
    when_behind: WhenBehind = Field("drop_oldest", description="What to do when the broker cannot keep up.")
    encode: str = Field(
        "jpeg:92", description="png, or jpeg:QUALITY; encoded sources pass through untouched."
    )
    part_pattern: str | None = Field(
        None,
        description="Regular expression that is searched in the name of each file of a folder: or video: "
        "source; its group (?P<part>...) is the part that the frame shows. By default frames name no part.",
    )

    @model_validator(mode="after")
    def _check_part_pattern(self) -> "CameraSection":
        if self.part_pattern is not None:
            if not self.source.startswith(("folder:", "video:")):
                raise ValueError("part_pattern: only the files of a folder: or video: source have names")
            try:
                check_part_pattern(self.part_pattern)
            except ValueError as error:
                raise ValueError(f"part_pattern: {error}") from None
        return self


class Line(LineSection):
    """One production line."""

    line: Name = Field(description="Name of the line; part of every message's source.")
    topics: TopicSection = TopicSection()
    store: str = Field(
        "file://./var/store",
        pattern=_STORE,
        description="fsspec address of the store; a relative file:// is taken from the line file's folder.",
    )
    store_in_clear: bool = Field(
        False,
        description="Whether an s3:// store may be reached by http:// from other machines, because the "
        "network itself is trusted: requests are signed, pictures are not encrypted.",
    )
    products: dict[Name, Product] = Field(min_length=1, description="Name → what its frames must be.")
    cameras: list[CameraSection] = Field(
        default_factory=list, description="The cameras; where any is listed, a frame of another is refused."
    )
    alerts: LineAlerts = LineAlerts()

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

    @field_validator("store")
    @classmethod
    def _check_store(cls, store: str) -> str:
        if not store.startswith(("file://", "memory://")) and not _BARE.fullmatch(store):
            raise ValueError(
                "no user, password or token belongs here: give them in the environment of the store"
            )
        return store

    def kafka_topics(self) -> Topics:
        """Return the topics of this line."""
        return line_topics(self.topics.prefix, self.topics.partitions, self.topics.replication)


def whole_name(detector: str, map_detector: str | None, companion: str | None = None) -> str:
    """Return the one name of all that is served in one graph; without a second detector the first gives the
    map too. A companion that is one of them already adds nothing.
    """
    name = detector if map_detector in (None, detector) else f"{detector}+{map_detector}"
    return name if companion in (None, detector, map_detector) else f"{name}&{companion}"


def load_line(path: Path, detectors: Collection[str] | None = None) -> Line:
    """Read a line file. A relative ``file://`` store, or folder of normals, starts from the file's folder.

    ``detectors`` are the names that products may choose from; only the trainer has them and can check this.
    Raises InvalidConfiguration with ``file:line: field: what is wrong`` for every problem found.
    """
    text = read_text_file(path, f"the line file {printable(path)}")
    places = parse_yaml(text, str(path))
    try:
        line = Line.model_validate(places.data, context={"detectors": detectors})
    except ValidationError as error:
        problems = [(_location(item), problem_of(item)) for item in error.errors()]
        raise InvalidConfiguration(
            *(
                f"{path}:{places.line_of(location)}: {'.'.join(map(str, location)) or 'file'}: {problem}"
                for location, problem in problems
            )
        ) from error
    products = {name: _with_normals(product, path.parent) for name, product in line.products.items()}
    return line.model_copy(update={"store": _absolute_store(line.store, path.parent), "products": products})


def _wrong_camera(index: int, field: str, problem: str) -> PydanticCustomError:
    context = {"at": ("cameras", index, field)}
    return PydanticCustomError("wrong_camera", problem.replace("{", "(").replace("}", ")"), context)


def _location(item: ErrorDetails) -> Location:
    at: Location = item.get("ctx", {}).get("at", ())
    return (*item["loc"], *at)


def problem_of(item: ErrorDetails) -> str:
    """Return what is wrong with one field, as a message of the line file says it."""
    if item["type"] == "extra_forbidden":
        return "unknown field"
    if item["type"] == "string_pattern_mismatch":
        return _WRITTEN_AS[item["ctx"]["pattern"]]
    return item["msg"].removeprefix("Value error, ")


def _with_normals(product: Product, folder: Path) -> Product:
    if product.normals is None:
        return product
    return product.model_copy(update={"normals": os.path.abspath(folder / product.normals)})


def _absolute_store(store: str, folder: Path) -> str:
    if not store.startswith("file://"):
        return store
    return "file://" + os.path.abspath(folder / store.removeprefix("file://"))
