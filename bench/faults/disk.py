"""A small disk of its own for one folder, which can be filled and freed again."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from steadyline.errors import InvalidConfiguration

FILLER = "filler"
CHUNK = bytes(1 << 16)


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs mounted at ``path``; mounting needs root."""

    path: Path

    def mount(self, mebibytes: int) -> None:
        """Mount it, empty; raises InvalidConfiguration where that is not allowed."""
        self.path.mkdir(parents=True, exist_ok=True)
        options = ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs"]
        done = subprocess.run(
            ["mount", *options, str(self.path)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise InvalidConfiguration(f"no disk can be mounted at {self.path}: {done.stderr.strip()}")

    def unmount(self) -> None:
        """Take it away with all that is on it; harmless when it is not mounted."""
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True, check=False)

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.path / FILLER).open("wb", buffering=0) as filler:
            try:
                while filler.write(CHUNK):
                    pass
            except OSError:
                return  # no space left on device

    def free(self) -> None:
        """Remove what ``fill`` wrote."""
        (self.path / FILLER).unlink(missing_ok=True)
