"""``deploy/images/digests.env``: the images of others, each by digest; placeholders are refused."""

import re
from pathlib import Path

from tools.setup.command import ROOT

DIGESTS = ROOT / "deploy" / "images" / "digests.env"
_ROW = re.compile(r"(?P<name>IMAGE_[A-Z]+)=(?P<image>[a-z0-9./:_-]+@sha256:(?P<digest>[0-9a-f]{64}))")


class BadDigests(Exception):
    """What is wrong with the file, and what to do about it."""


def read_digests(path: Path = DIGESTS) -> dict[str, str]:
    """Return name → image with its digest, placeholders included. Raises BadDigests for any other row."""
    found = {}
    for row in path.read_text(encoding="utf-8").splitlines():
        if not row or row.startswith("#"):
            continue
        match = _ROW.fullmatch(row)
        if match is None:
            raise BadDigests(f"{path.name}: {row!r} is not IMAGE_NAME=name:tag@sha256:digest")
        found[match["name"]] = match["image"]
    return found


def pinned(name: str, path: Path = DIGESTS) -> str:
    """Return an image by its digest. Raises BadDigests when nobody has filled the placeholder."""
    image = read_digests(path)[name]
    if image.endswith("0" * 64):
        tag = image.partition("@")[0]
        raise BadDigests(
            f"{path.name}: {name} is a placeholder: write the digest of {tag} there, which "
            f"`docker buildx imagetools inspect {tag}` prints"
        )
    return image
