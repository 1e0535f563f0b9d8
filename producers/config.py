"""The settings of the producers, which are read from ``PRODUCERS_*``."""

from pathlib import Path

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from steadyline.settings import Seconds, Settings


class ProducersSettings(Settings):
    """How one producers process behaves; the cameras themselves are in the line file."""

    model_config = SettingsConfigDict(env_prefix="PRODUCERS_")

    state: Path = Field(
        Path("var/producers"), description="Folder of open accounts and spools, one per camera."
    )
    queue_frames: PositiveInt = Field(64, description="Most frames waiting in memory, per camera.")
    queue_bytes: PositiveInt = Field(32 << 20, description="Most bytes waiting in memory, per camera.")
    in_flight_bytes: PositiveInt = Field(
        32 << 20, description="Most bytes handed to Kafka and not acknowledged, all cameras together."
    )
    in_flight_frames: PositiveInt = Field(
        256, description="Most frames handed to Kafka and not acknowledged, per camera."
    )
    spool_bytes: PositiveInt = Field(2 << 30, description="Most bytes spooled on disk, per camera.")
    status_seconds: Seconds = Field(1.0, description="Time between two status messages.")
    quality_seconds: Seconds = Field(1.0, description="Shortest time between two quality checks.")
    dark_below: float = Field(8.0, ge=0, le=255, description="Mean gray value under which a picture is dark.")
    bright_above: float = Field(247.0, ge=0, le=255, description="Mean gray value over which it is bright.")
    frozen_below: float = Field(
        0.05,
        ge=0,
        le=255,
        description="Mean difference, in gray values, under which two pictures are the same.",
    )
    blurred_below: float = Field(
        0.25, ge=0, lt=1, description="Share of the usual sharpness under which a picture is blurred."
    )
    quality_checks: PositiveInt = Field(
        3, description="Checks in a row that must agree before a state changes."
    )
    reconnect_seconds: Seconds = Field(0.5, description="First delay before a lost camera is tried again.")
    reconnect_longest_seconds: Seconds = Field(
        30.0, description="Longest delay before a lost camera is tried again."
    )
    read_timeout_seconds: Seconds = Field(10.0, description="Silence after which a stream counts as lost.")
    stop_seconds: Seconds = Field(15.0, description="Longest time to publish queued frames at a stop.")
    rtsp_username: str | None = Field(None, description="User for rtsp:// addresses that name none.")
    rtsp_password: SecretStr | None = Field(
        None, description="Password of that user; also as PRODUCERS_RTSP_PASSWORD_FILE."
    )
