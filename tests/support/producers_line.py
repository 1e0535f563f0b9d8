"""A line with real producers as child processes, and what its topics say of them."""

from pathlib import Path

from steadyline.contracts.camera_status import CameraStatus
from steadyline.servers import Addresses
from tests.support.eventually import eventually
from tests.support.line_under_test import LineUnderTest
from tests.support.service_process import ServiceProcess


class ProducersLine(LineUnderTest):
    """A line whose cameras ``describe`` sets, and the state that its producers keep on disk."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        super().__init__(home, addresses)
        self.state = home / "state"

    def describe(self, cameras: str, product: str = "{}") -> None:
        """Write the line file: ``cameras`` as the lines of a YAML list."""
        lines = "".join(f"  - {{{camera.strip()}}}\n" for camera in cameras.strip().splitlines())
        head = f"line: test\ntopics: {{prefix: {self.name}, partitions: 2}}\nproducts: {{part: {product}}}\n"
        self.write_line(f"{head}cameras:\n{lines}")

    def start(self, *options: str, **environment: str) -> ServiceProcess:
        """Start ``python -m producers run``."""
        ours = {
            "PRODUCERS_STATE": str(self.state),
            "PRODUCERS_STATUS_SECONDS": "0.3",
            "PRODUCERS_QUALITY_SECONDS": "0.1",
        }
        return self.start_service("producers", *options, environment={**ours, **environment})

    def latest(self, camera: str) -> list[CameraStatus]:
        """Return the newest status of each epoch of ``camera``, oldest epoch first."""
        newest = {status.epoch: status for status in self.statuses() if status.camera == camera}
        return [newest[epoch] for epoch in sorted(newest)]

    def eventually_status(self, camera: str, within: float = 60.0, **wanted: object) -> CameraStatus:
        """Wait for a status of ``camera`` with these fields."""

        def found() -> CameraStatus | None:
            for status in self.statuses():
                if status.camera == camera and all(getattr(status, k) == v for k, v in wanted.items()):
                    return status
            return None

        status = eventually(found, within, f"a status of {camera} with {wanted}")
        assert status is not None
        return status

    def assert_accounts_closed(self, camera: str) -> list[CameraStatus]:
        """Check each epoch of ``camera`` against the frames on the topic; returns the final statuses."""
        frames = [frame for frame in self.frames() if frame.id.camera == camera]
        order = [(frame.id.epoch, frame.id.sequence) for frame in frames]
        assert order == sorted(set(order)), "frames are doubled or out of order"
        for status in self.statuses():
            assert status.captured == status.published + sum(status.dropped.values()) + status.pending
        finals = self.latest(camera)
        for final in finals:
            there = {sequence for epoch, sequence in order if epoch == final.epoch}
            gone = {n for first, last, _ in final.dropped_sequences for n in range(first, last + 1)}
            assert final.state == "ended"
            assert final.pending == 0
            assert there | gone == set(range(1, final.captured + 1))
            assert not there & gone
            assert final.published == len(there)
        assert {epoch for epoch, _ in order} <= {final.epoch for final in finals}
        assert not [path for path in (self.state / camera).iterdir() if path.is_dir()], "open accounts"
        return finals

    def state_of(self, camera: str) -> str:
        """Return the account on disk of the newest epoch of ``camera``; empty when there is none."""
        accounts = sorted((self.state / camera).glob("*/account.json"))
        return accounts[-1].read_text() if accounts else ""
