"""``python -m tools.images build SERVICE…``: builds images of services; without a name, all of them.

With ``--stand-in`` they stand on a Debian base that is made here, and are kept in the checkout's own store.
"""

import argparse
import subprocess
import sys
import time

from tools.images.base import stand_in
from tools.images.digests import BadDigests, pinned
from tools.images.engine import Build, build_docker, build_local, check_tools, size_of
from tools.images.services import IMAGES
from tools.setup.command import ROOT, SetUpFailed, answer

TRITON = {
    "triton": ("triton.Dockerfile", "IMAGE_TRITON"),
    "triton-cpu": ("triton-cpu.Dockerfile", "IMAGE_PYTHON"),
}


def main(words: list[str]) -> int:
    """Return 0, or 1 after one clear line."""
    parser = argparse.ArgumentParser(prog="python -m tools.images", description="Builds the images.")
    parser.add_argument("verb", choices=["build"])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join((*IMAGES, *TRITON))}")
    parser.add_argument("--stand-in", action="store_true", help="build on a base that is made here, as root")
    asked = parser.parse_intermixed_args(words)
    unknown = sorted(set(asked.images) - {*IMAGES, *TRITON})
    if unknown:
        parser.error(f"there is no image {unknown[0]}")
    try:
        if asked.stand_in:
            check_tools()
        for name in asked.images or (*IMAGES, "triton-cpu"):
            build(name, asked.stand_in)
    except (SetUpFailed, BadDigests) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


def build(name: str, is_local: bool) -> None:
    """Build one image and print its size and the time it took."""
    started = time.monotonic()
    dockerfile, base = TRITON.get(name, ("Dockerfile", "IMAGE_PYTHON"))
    arguments = {base: stand_in() if is_local else pinned(base), "REVISION": revision()}
    if name in IMAGES:
        arguments["SERVICE"] = name
    wanted = Build(dockerfile, tag_of(name), {**arguments, "VERSION": version()})
    if not is_local:
        build_docker(wanted)
        return
    build_local(wanted)
    took = time.monotonic() - started
    print(
        f"image {name}: {size_of(wanted.tag) / 1e6:.0f} MB with its base, built in {took:.0f} s", flush=True
    )


def tag_of(name: str) -> str:
    """Return the name of an image as it is built here."""
    return f"localhost/steadyline/{name}:{version()}"


def version() -> str:
    """Return the version of the distribution."""
    for row in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if row.startswith("version = "):
            return row.split('"')[1]
    raise SetUpFailed("pyproject.toml has no version")


def revision() -> str:
    """Return the commit that is built, or unknown outside of a repository."""
    try:
        return (answer(["git", "-C", str(ROOT), "rev-parse", "HEAD"]) or "unknown").strip()
    except subprocess.SubprocessError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
