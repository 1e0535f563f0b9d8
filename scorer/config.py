"""The settings of the scorer, which are read from ``SCORER_*``."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from steadyline.settings import ProcessName, Seconds, Settings, host_and_pid


class ScorerSettings(Settings):
    """How one scorer process behaves; what it scores is in the line file."""

    model_config = SettingsConfigDict(env_prefix="SCORER_")

    instance: ProcessName = Field(
        default_factory=host_and_pid,
        description="Name of this scorer, unique among live ones and stable across restarts: with the group "
        "it is the transactional id. The default (host and process id) is not stable: after a kill -9 the "
        "open transaction of the old process is then ended by its timeout only, 15 s later.",
    )
    group: ProcessName | None = Field(
        None,
        description="Consumer group, which scores each frame once; by default <topic prefix>.scorer.",
    )
    max_batch: int = Field(
        8,
        ge=1,
        le=128,
        description="Most frames per request; a model that takes fewer at once, or whose frames together "
        "have more than two megapixels, is asked for fewer.",
    )
    in_flight: PositiveInt = Field(
        2,
        description="Most requests per product at once; a further one is sent only with a full batch.",
    )
    decoders: PositiveInt = Field(2, description="Threads that decode and prepare frames.")
    in_hand_frames: PositiveInt = Field(256, description="Most frames taken and not yet scored.")
    in_hand_bytes: PositiveInt = Field(
        64 << 20,
        description="Most bytes of pictures taken and not yet scored, encoded and prepared; one frame is "
        "always let in.",
    )
    commit_seconds: Seconds = Field(
        0.025,
        description="Time between two transactions: short for latency, long for fewer of them. Four times as "
        "long while frames wait for room.",
    )
    canary_seconds: Seconds = Field(
        5.0, description="Time between two canary inferences with known answers, per product."
    )
    retry_seconds: Seconds = Field(0.1, description="First delay before Triton or the store is tried again.")
    retry_longest_seconds: Seconds = Field(
        5.0, description="Longest delay before Triton or the store is tried again."
    )
    store_seconds: Seconds = Field(
        30.0,
        description="Longest time that one call to the store may take; what it keeps waiting is held.",
    )
    lag_seconds: Seconds = Field(15.0, description="Time between two measurements of the lag.")
    stop_seconds: Seconds = Field(
        20.0, description="Longest time to finish and commit frames in hand at a stop."
    )
    storm_fraction: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of refused frames above which the scorer says that it is not ready.",
    )
    storm_frames: PositiveInt = Field(
        200, description="Fewest frames within a minute from which that share is computed."
    )
