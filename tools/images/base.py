"""A stand-in for Python's official image where no registry can be reached: Debian 12 with its Python."""

import shutil

from tools.images.engine import WORK, Build, build_local, has_image, run
from tools.setup.command import ROOT

TAG = "localhost/steadyline/python-stand-in:bookworm"
SUITE = "bookworm"
PACKAGES = "python3,python3-venv,python3.11-dev,libpython3.11,ca-certificates,netbase,tzdata"


def stand_in() -> str:
    """Make the base image unless it is there, and return its name. Raises SetUpFailed.

    Wheels and our code run on it as on the official image. What differs is Python itself: Debian's 3.11.2 in
    /usr in place of a newer 3.11 in /usr/local.
    """
    if not has_image(TAG):
        folder = ROOT / "deploy" / "images" / "stand-in"
        archive = folder / "base.tar"
        half = WORK / "base.tar"
        WORK.mkdir(parents=True, exist_ok=True)
        make = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(half)]
        run(make, "a base from Debian's archive", {})
        try:
            shutil.move(half, archive)
            build_local(Build("stand-in/Dockerfile", TAG, {}))
        finally:
            archive.unlink(missing_ok=True)
    return TAG
