"""What is kept on disk of one epoch, so that a later run can close its account after a kill -9."""

import os
import secrets
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from producers.accounting.proof import SECRET_BYTES, is_proven
from steadyline.contracts.frame import FrameId
from steadyline.replace_file import replace_file

_STATE = "account.json"
_CAPTURED = "captured"
_COUNT_BYTES = 8


class EpochState(BaseModel):
    """The account of an epoch as it was last written, about a second ago."""

    model_config = ConfigDict(frozen=True)

    line: str
    camera: str
    product: str
    epoch: int = Field(ge=1)
    captured: int = Field(0, ge=0)
    oldest_pending: int = Field(1, ge=1, description="Every older frame is published or dropped.")
    since: AwareDatetime = Field(description="No frame from oldest_pending on was published before.")
    clock_error: float = Field(0.0, description="Seconds that the topic's time is ahead of the producer's.")
    dropped_sequences: list[tuple[int, int, str]] = Field(default_factory=list)
    state_counts: dict[str, int] = Field(default_factory=dict)
    closing: str | None = Field(None, description="Why no more frames will be captured; None while they are.")


class EpochFolder:
    """``<state>/<camera>/<epoch>/``: the account, the number of captured frames, and the spool if any.

    The account is replaced as a whole. The number of captured frames is one 8-byte write per frame into the
    page cache. It survives the process, so after a kill -9 it tells exactly which frames there were.
    Behind it stands the secret of the epoch's proofs, which a folder of an earlier release lacks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._captured = os.open(path / _CAPTURED, os.O_RDWR | os.O_CREAT, 0o600)
        if not os.fstat(self._captured).st_size:
            os.pwrite(self._captured, bytes(_COUNT_BYTES) + secrets.token_bytes(SECRET_BYTES), 0)
        self.secret = os.pread(self._captured, SECRET_BYTES, _COUNT_BYTES)

    @property
    def epoch(self) -> int:
        """The epoch that this folder belongs to."""
        return int(self.path.name)

    def note_captured(self, sequence: int) -> None:
        """Store that ``sequence`` frames were captured. Raises OSError when the disk refuses."""
        os.pwrite(self._captured, sequence.to_bytes(_COUNT_BYTES, "little"), 0)

    def save(self, state: EpochState) -> None:
        """Replace the account. Raises OSError when the disk refuses; the old account then stays."""
        replace_file(self.path / _STATE, state.model_dump_json().encode())

    def load(self) -> tuple[EpochState, int]:
        """Return the account and the number of captured frames, which may be ahead of the account.

        Raises ValueError when the account is missing or damaged.
        """
        try:
            state = EpochState.model_validate_json((self.path / _STATE).read_bytes())
        except (OSError, ValidationError) as error:
            raise ValueError(f"{self.path / _STATE}: {error}") from error
        return state, max(state.captured, self.noted_captured)

    @property
    def noted_captured(self) -> int:
        """The number last stored by ``note_captured``, or 0."""
        return int.from_bytes(os.pread(self._captured, _COUNT_BYTES, 0), "little")

    def is_own(self, frame: FrameId, headers: Sequence[tuple[str, bytes | None]]) -> bool:
        """Return True when a frame on the topic is one that this epoch published, and not a forged one.

        An epoch of an earlier release has no proofs: of its frames only the number is known.
        """
        if len(self.secret) < SECRET_BYTES:
            return frame.sequence <= self.noted_captured
        return is_proven(frame, headers, self.secret)

    @property
    def last_sign(self) -> datetime:
        """When the producer was last alive; it writes here every second and with every capture."""
        paths = [self.path, *self.path.iterdir()]
        return datetime.fromtimestamp(max(path.stat().st_mtime for path in paths), UTC)

    def close(self) -> None:
        """Close the files."""
        if self._captured >= 0:
            os.close(self._captured)
            self._captured = -1

    def remove(self) -> None:
        """Delete the folder, once the account is closed and acknowledged."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)


def left_behind(camera: Path) -> list[EpochFolder]:
    """Return the folders of earlier epochs under ``camera``, oldest first."""
    epochs = sorted(int(path.name) for path in camera.iterdir() if path.name.isdigit() and path.is_dir())
    return [EpochFolder(camera / str(epoch)) for epoch in epochs]


def state_since(oldest_pending_at: datetime | None, now: datetime) -> datetime:
    """Return a moment before which none of the open frames was published."""
    return min(oldest_pending_at, now) if oldest_pending_at else now
