"""The USB cameras of this machine, as Linux lists them."""

from dataclasses import dataclass
from pathlib import Path

LISTED = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class UsbCamera:
    """A device that gives pictures, ``/dev/video0``, and what its maker calls it."""

    device: str
    title: str


def usb_cameras(listed: Path = LISTED) -> list[UsbCamera]:
    """Return the cameras, ordered by device; none where Linux lists none.

    A camera has several devices, of which the one with the index 0 gives the pictures and the others say
    things about them.
    """
    found = []
    for folder in sorted(listed.glob("video*"), key=lambda path: (len(path.name), path.name)):
        try:
            if (folder / "index").read_text(encoding="ascii").strip() == "0":
                title = (folder / "name").read_text(encoding="utf-8", errors="replace").strip()
                found.append(UsbCamera(f"/dev/{folder.name}", title))
        except OSError:
            continue  # unplugged while it was looked at
    return found
