"""The settings that the trainer reads from the environment."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from steadyline.settings import Settings
from steadyline.triton_config import MOST_BATCH, MOST_INSTANCES, MOST_THREADS, Serving


class TrainerSettings(Settings):
    """The trainer's own settings."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_")

    work: Path = Field(
        Path("var/trainer"), description="Folder for checkpoints and the trainer's own name; never shared."
    )
    seed: int = Field(0, ge=0, description="Seed of the first training; later ones add the version.")
    accelerator: Literal["cpu", "gpu"] = Field(
        "cpu", description="What Triton runs the models on; gpu adds TensorRT."
    )
    instances: PositiveInt = Field(
        1, le=MOST_INSTANCES, description="Copies of the model that Triton runs per device."
    )
    threads: PositiveInt = Field(2, le=MOST_THREADS, description="CPU threads of one copy.")
    max_batch: PositiveInt = Field(32, le=MOST_BATCH, description="Largest batch that Triton makes.")
    precision: Literal["FP32", "FP16"] = Field("FP32", description="TensorRT precision, with gpu.")
    nice: int = Field(
        5, ge=0, le=19, description="Niceness of a training: higher leaves more of the CPU to the line."
    )
    fit_threads: PositiveInt = Field(
        1, description="CPU threads of a training; OMP_NUM_THREADS takes precedence where it is set."
    )
    load_seconds: float = Field(
        60.0, gt=0, le=3600, description="Deadline for Triton to load a version, 60 s by default."
    )
    training_hours: float = Field(
        24.0,
        gt=0,
        le=24 * 365,
        description="Deadline of a training, 24 h by default: a longer one is ended and announced as failed.",
    )

    def serving(self) -> Serving:
        """Return how Triton shall serve the models."""
        return Serving(self.accelerator, self.instances, self.threads, self.max_batch, self.precision)

    def longest_training(self) -> timedelta:
        """Return the deadline of one training."""
        return timedelta(hours=self.training_hours)

    def load_deadline(self) -> timedelta:
        """Return the deadline of one load."""
        return timedelta(seconds=self.load_seconds)
