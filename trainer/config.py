"""The settings that the trainer reads from the environment."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator
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
    max_batch: PositiveInt = Field(
        32,
        le=MOST_BATCH,
        description="Largest batch that Triton makes; smaller ones of large pictures.",
    )
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
    launcher: Literal["process", "kubernetes"] = Field(
        "process",
        description="Where trainings run: process, a child of the trainer, or kubernetes, a Job for each.",
    )
    job_template: Path | None = Field(
        None, description="File with the Job of a training, for TRAINER_LAUNCHER=kubernetes."
    )
    pod: str | None = Field(
        None, description="Name of the trainer's own pod, whose owner then owns the Jobs of trainings."
    )
    job_start_minutes: float = Field(
        60.0,
        gt=0,
        le=7 * 24 * 60,
        description="Deadline for the pods of a training to begin, 60 by default; then it counts as failed.",
    )

    @model_validator(mode="after")
    def _check_launcher(self) -> Self:
        if self.launcher == "kubernetes" and self.job_template is None:
            raise ValueError("TRAINER_LAUNCHER=kubernetes needs TRAINER_JOB_TEMPLATE, the Job of a training")
        return self

    def serving(self) -> Serving:
        """Return how Triton shall serve the models."""
        return Serving(self.accelerator, self.instances, self.threads, self.max_batch, self.precision)

    def longest_training(self) -> timedelta:
        """Return the deadline of one training."""
        return timedelta(hours=self.training_hours)

    def start_deadline(self) -> timedelta:
        """Return how long the pods of a training may wait for their place."""
        return timedelta(minutes=self.job_start_minutes)

    def load_deadline(self) -> timedelta:
        """Return the deadline of one load."""
        return timedelta(seconds=self.load_seconds)


ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where Kubernetes puts it


class KubernetesSettings(Settings):
    """Where the API server of Kubernetes is, which makes the Jobs of trainings; every pod knows by itself."""

    model_config = SettingsConfigDict(env_prefix="KUBERNETES_")

    service_host: str | None = Field(None, description="Address of the API server; set in every pod.")
    service_port: int = Field(443, ge=1, le=65535, description="Its port; set in every pod.")
    token_file: Path = Field(
        ACCOUNT / "token", description="Token of the trainer's ServiceAccount; read anew for each call."
    )
    ca_file: Path = Field(ACCOUNT / "ca.crt", description="Authority of the API server's certificate.")
