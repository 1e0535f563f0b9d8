"""Parse the addresses of sources in the line file, ``kind:target?options``, with exact errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from steadyline.address import check_address
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

    Options of an ``rtsp://`` address that are not ours stay part of the address, as they are written. Raises
    InvalidConfiguration that names the camera and the option, and repeats nothing of the address.
    """
    kind, _, rest = text.partition(":")
    if kind not in _OPTIONS:
        raise InvalidConfiguration(f"camera {camera}: source: the kinds are {', '.join(_OPTIONS)}")
    target, _, query = rest.partition("?")
    pieces = [piece for piece in query.split("&") if piece]
    model = _OPTIONS[kind]
    if kind == "rtsp":
        try:
            check_address(text, ("rtsp",))
        except ValueError as error:
            raise InvalidConfiguration(
                f"camera {camera}: source: {error}; or give them as PRODUCERS_RTSP_USERNAME and "
                "PRODUCERS_RTSP_PASSWORD"
            ) from None
        foreign = [piece for piece in pieces if _name(piece) not in model.model_fields]
        pieces = [piece for piece in pieces if _name(piece) in model.model_fields]
        target = f"rtsp:{target}" + (f"?{'&'.join(foreign)}" if foreign else "")
    elif "://" in target:
        raise InvalidConfiguration(f"camera {camera}: source: {kind}: wants a path, not an address")
    elif kind in ("folder", "video"):
        if not target:
            raise InvalidConfiguration(f"camera {camera}: source: the path after {kind}: is missing")
        target = str(base / target)
    given = {_name(piece): unquote_plus(piece.partition("=")[2]) for piece in pieces}
    try:
        return SourceAddress(kind, target, model.model_validate(given))
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(_problem(item, model) for item in error.errors()))
        raise InvalidConfiguration(f"camera {camera}: source: {problems}") from None


def _name(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])


def _problem(item: ErrorDetails, model: type[SourceOptions]) -> str:
    if item["type"] == "extra_forbidden":  # its name may be half of a password
        return f"unknown option; the options are {', '.join(model.model_fields)}"
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
