"""Writes the hash-locked requirements anew; ``--upgrade`` takes newer versions too."""

import os
import subprocess
import sys

from tools.images.services import IMAGES
from tools.setup.command import ROOT
from tools.setup.environments import TOOL, python_of, uv_program
from tools.setup.mirrors import uv_environment

OPTIONS = (
    "--quiet",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--universal",  # for every Python we support, not only for the one that writes the lock
    "--python-version=3.11",
)


def image_lock(image: str) -> tuple[str, ...]:
    """Return how to lock what an image takes as wheels: its extras, in the versions that are tested."""
    extras = [word for extra in IMAGES[image] for word in ("--extra", extra)]
    return ("-c", "requirements/dev.lock", *extras, "pyproject.toml")


LOCKS: dict[str, tuple[str, ...]] = {
    "bootstrap": ("requirements/bootstrap.in",),
    "triton": ("requirements/triton.in",),
    "triton-server": ("--no-deps", "requirements/triton-server.in"),
    "deploy": ("requirements/deploy.in",),
    "dev": ("--all-extras", "--group", "dev", "pyproject.toml"),
    "anomalib": (
        *("-c", "requirements/dev.lock"),  # the usual environment and Anomalib, so after "dev"
        *("--all-extras", "--group", "dev", "pyproject.toml", "requirements/anomalib.in"),
    ),
    "witness": (
        *("-c", "requirements/dev.lock"),
        *("--all-extras", "--group", "dev", "pyproject.toml", "requirements/witness.in"),
    ),
    "witness-bounds": ("--no-deps", "requirements/witness-bounds.in"),
    "image-tools": ("requirements/image-tools.in",),
    **{f"image-{image}": image_lock(image) for image in IMAGES},
}


def main(options: list[str]) -> int:
    """Resolve every lock; returns the first status that is not 0."""
    environment = {**os.environ, **uv_environment(python_of(TOOL))}
    for name, sources in LOCKS.items():
        output = f"requirements/{name}.lock"
        command = [uv_program(), "pip", "compile", *OPTIONS, *options, *sources, "-o", output]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if status != 0:
            return status
        print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
