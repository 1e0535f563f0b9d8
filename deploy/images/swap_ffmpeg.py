"""``swap_ffmpeg.py SITE_PACKAGES FFMPEG``: PyAV's wheel, with our FFmpeg in place of the one that it carries.

PyAV finds the libraries of FFmpeg by names that hold a hash. Everything that the wheel carries beside PyAV is
removed, and each of those names becomes a link to the same library of ours. It must be of the very same
version: with another one PyAV would misread what the library hands it.
"""

import re
import shutil
import sys
from pathlib import Path

NAMES = ("avcodec", "avdevice", "avfilter", "avformat", "avutil", "swresample", "swscale")
_CARRIED = re.compile(r"lib(?P<name>[a-z]+)-[0-9a-f]{8}\.so\.(?P<version>\d+\.\d+\.\d+)")


def main(packages: Path, ffmpeg: Path) -> int:
    """Swap the libraries; 1 when the wheel or our build is not as expected, and nothing is changed then."""
    carried = packages / "av.libs"
    matches = {path: _CARRIED.fullmatch(path.name) for path in carried.iterdir()}
    links = {
        path.name: ffmpeg / "lib" / f"lib{match['name']}.so.{match['version']}"
        for path, match in matches.items()
        if match is not None and match["name"] in NAMES
    }
    gone = sorted(str(ours) for ours in links.values() if not ours.exists())
    if len(links) != len(NAMES) or gone:
        print(f"PyAV's wheel and our FFmpeg do not fit: {sorted(links)}, {gone} missing", file=sys.stderr)
        return 1
    shutil.rmtree(carried)
    carried.mkdir()
    for name, ours in links.items():
        (carried / name).symlink_to(ours)
    (information,) = packages.glob("av-*.dist-info")
    shutil.rmtree(information / "sboms", ignore_errors=True)  # of what is gone
    record = information / "RECORD"
    rows = record.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if not row.startswith("av.libs/") and "/sboms/" not in row]
    record.write_text("".join(kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
