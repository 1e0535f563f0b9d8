"""What the demonstration does and where it writes: only numbers and paths."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from steadyline.line import DEFAULT_DETECTOR

CAMERAS = ("east-1", "east-2", "west-1")
UNPLUGGED = "west-1"  # it has a producer of its own, which is killed to show what is alerted then
PRODUCT = "cell"
SWAP_WINDOW = timedelta(seconds=5)  # frames scored this close to the swap count as "during"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Sizes and rates of one demonstration, chosen so that it ends within 12 minutes on two cores."""

    home: Path
    data: Path | None = None
    fps: float = 4.0
    first_normals: int = 200
    detector: str = DEFAULT_DETECTOR
    map_detector: str | None = None
    steps: int = 260  # three minutes on two cores; a real plant trains longer
    line_seconds_after_swap: float = 20.0
    line_seconds_before_retrain: float = 5.0  # and as long as a camera is unplugged
    training_deadline: timedelta = timedelta(minutes=20)  # long enough for a machine with other work
    pgd_steps: int = 20
    keep: bool = False

    @property
    def dataset(self) -> Path:
        """The imported set in MVTec layout."""
        return self.home / "dataset"

    @property
    def normals(self) -> Path:
        """The normals that the trainer trains on; they grow before the second training."""
        return self.home / "normals"

    @property
    def held_out(self) -> Path:
        """Good and defective frames that no training uses."""
        return self.home / "held-out"

    @property
    def stream(self) -> Path:
        """The frames to stream, in one folder per camera."""
        return self.home / "stream"

    @property
    def line_file(self) -> Path:
        return self.home / "line.yaml"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def alerts(self) -> Path:
        """The folder of the alerts' database."""
        return self.home / "alerts"

    @property
    def summary(self) -> Path:
        return self.home / "summary.json"

    @property
    def keys(self) -> Path:
        """The trainer's pair of keys."""
        return self.home / "keys"

    @property
    def contact_sheet(self) -> Path:
        return self.home / "anomalous.png"

    def line_yaml(self, size: int) -> str:
        """Return the line file of the demonstration, as a plant would write it."""
        cameras = "".join(
            f"  - {{id: {camera}, product: {PRODUCT}, when_behind: drop_oldest, "
            f'source: "folder:{self.stream / camera}?fps={self.fps:g}&loop=true"}}\n'
            for camera in CAMERAS
        )
        mapped = f"    map_detector: {self.map_detector}\n" if self.map_detector else ""
        return (
            "line: demo\n"
            "topics: {prefix: demo, partitions: 4}\n"
            f"store: file://{self.home / 'store'}\n"
            "products:\n"
            f"  {PRODUCT}:\n"
            f"    picture: {{size: {size}, channels: gray}}\n"
            f"    detector: {self.detector}\n{mapped}"
            "    profile: cpu\n"
            f"    steps: {self.steps}\n"
            f"    normals: {self.normals}\n"
            "    false_alarm_rate: 0.05\n"
            # Wider than the default, because the demo compares few frames, and trainings of minutes differ by
            # more than a plant's: two seeds were .06 apart on corrupted frames. What the certified distance
            # proves on synthetic defects is high.
            "    gate: {clean_drop: 0.04, robust_drop: 0.1, detection_drop: 0.3, floor_drop: 0.6,\n"
            "           epsilon: 2/255}\n"
            "    watch: {every: 30s, samples: 12, floor: 0.3}\n"
            # One of five frames is defective, and no two of them show the same part: each is an incident,
            # told of at most every ten seconds.
            "    alerts: {open_frames: {anomalous: 1, of: 1}, close_frames: 3, cooldown: 10s}\n"
            # A status comes every second. A plant that can wait longer is told of fewer short breaks.
            "alerts:\n"
            "  camera_states: {silent_after: 4s, close_after: 2s}\n"
            "  notifications: {most: 1000, within: 1m}\n"
            "cameras:\n" + cameras
        )
