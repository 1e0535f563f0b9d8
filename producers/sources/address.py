"""Parse the addresses of sources in the line file, ``kind:target?options``, with exact errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steadyline.errors import InvalidConfiguration


class SourceOptions(BaseModel):
    """The options of every source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int | None = Field(None, ge=1, description="Number of captures after which it ends.")


class FolderOptions(SourceOptions):
    """``folder:PATH`` gives the files of a folder, ordered by name."""

    fps: float = Field(5.0, gt=0, le=10_000, description="Files a second.")
    loop: bool = Field(False, description="Begin again at the end.")
    watch: bool = Field(False, description="Wait for new and changed files.")
    existing: bool = Field(True, description="With watch: also take what is there at the start.")
    recursive: bool = Field(False, description="Go into sub-folders.")
    check: bool = Field(True, description="false: publish whatever the files hold, for drills.")


class SyntheticOptions(SourceOptions):
    """``synthetic:`` gives a textured part with random defects."""

    fps: float = Field(10.0, ge=0, le=10_000, description="Frames a second; 0 is as fast as possible.")
    defect_rate: float = Field(0.1, ge=0, le=1, description="Fraction of frames with a defect.")
    seed: int = Field(0, ge=0, description="Everything follows from the seed and the sequence.")
    size: int = Field(128, ge=16, le=4096, description="Height and width in pixels.")
    distinct: int = Field(
        0, ge=0, le=10_000, description="Number of frames that are then repeated; 0 repeats none."
    )


class VideoOptions(SourceOptions):
    """``video:PATH`` gives a video file at its own rate, unless ``fps`` says otherwise."""

    fps: float | None = Field(None, gt=0, le=1000, description="Frames a second.")
    loop: bool = Field(False, description="Begin again at the end.")


class LiveOptions(SourceOptions):
    """``rtsp://`` and ``usb:DEVICE`` give a live camera."""

    fps: float | None = Field(None, gt=0, le=1000, description="Most frames a second; more are not captured.")
    size: str | None = Field(None, pattern=r"\d{2,5}x\d{2,5}", description="usb: WIDTHxHEIGHT to ask for.")
    transport: str = Field("tcp", pattern="tcp|udp", description="rtsp: how the pictures travel.")


_OPTIONS: Mapping[str, type[SourceOptions]] = {
    "folder": FolderOptions,
    "synthetic": SyntheticOptions,
    "video": VideoOptions,
    "rtsp": LiveOptions,
    "usb": LiveOptions,
}


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """A parsed source; ``target`` is a path, a device or an address, and empty for ``synthetic``."""

    kind: str
    target: str
    options: SourceOptions


def parse_source(camera: str, text: str, base: Path) -> SourceAddress:
    """Return the parsed source; a relative path starts from ``base``, the folder of the line file.

    Options of an ``rtsp://`` address that are not ours stay part of the address. Raises InvalidConfiguration
    that names the camera and the option.
    """
    kind, _, rest = text.partition(":")
    if kind not in _OPTIONS:
        raise InvalidConfiguration(f"camera {camera}: source {text!r}: the kinds are {', '.join(_OPTIONS)}")
    target, _, query = rest.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    model = _OPTIONS[kind]
    if kind == "rtsp":
        foreign = {name: value for name, value in given.items() if name not in model.model_fields}
        given = {name: value for name, value in given.items() if name in model.model_fields}
        target = f"rtsp:{target}" + (f"?{urlencode(foreign)}" if foreign else "")
    elif kind in ("folder", "video"):
        if not target:
            raise InvalidConfiguration(f"camera {camera}: source {text!r}: the path is missing")
        target = str(base / target)
    try:
        return SourceAddress(kind, target, model.model_validate(given))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
        )
        raise InvalidConfiguration(f"camera {camera}: source {text!r}: {problems}") from error
