"""The known defects and judged normals of a product, as the trainer keeps them in the store.

One object lists them, ``labels/<line>/<product>/index``, and names the digest of each picture; the pictures
lie beside it under their digests. Its first line is the signature of the rest, empty where no key signs.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from steadyline.contracts.feedback import MarkedRegion
from steadyline.contracts.message import AwareDatetime, Digest, Items, Name, Part, Uri, Version
from steadyline.contracts.score import MOST_FRAME_ID
from steadyline.errors import MalformedMessage

KIND = b"steadyline labels v1"  # what the signature is of
MOST_INDEX_BYTES = 16 << 20
MOST_ROWS = 10_000

KeptAs = Literal["good", "defect"]
# Why a label has no picture: its frame's score is not known (any more), or named none; it is no longer in the
# store; it is not the one that the score vouches for; it cannot be read.
Without = Literal["unknown", "gone", "changed", "unreadable"]

Check = Callable[[bytes, str | None], None]


class KeptLabel(Part):
    """One frame that a person judged, and where its picture is kept."""

    frame: Annotated[str, Field(max_length=MOST_FRAME_ID)]
    camera: Name
    label: KeptAs
    who: Annotated[str, Field(max_length=200)]
    at: AwareDatetime
    region: MarkedRegion | None = None
    note: Annotated[str, Field(max_length=200)] | None = None
    picture: Uri | None = None  # its key in the store
    picture_sha256: Digest | None = None
    captured_at: AwareDatetime | None = None
    model_version: Version | None = None
    without: Without | None = None


class KeptLabels(Part):
    """The labels of one product, oldest first."""

    labels: Items[KeptLabel] = Field(default_factory=list, max_length=MOST_ROWS)

    def pack(self, line: str, product: str, sign: Callable[[bytes], str] | None = None) -> bytes:
        """Return the object that is kept."""
        content = self.model_dump_json().encode()
        signature = "" if sign is None else sign(_signed(line, product, content))
        return signature.encode() + b"\n" + content

    @staticmethod
    def unpack(data: bytes, line: str, product: str, check: Check) -> "KeptLabels":
        """Return what was kept; raises PoisonMessage, also what ``check`` raises of a wrong signature."""
        signature, _, content = data.partition(b"\n")
        check(_signed(line, product, content), signature.decode(errors="replace") or None)
        try:
            return KeptLabels.read(content)
        except ValueError as error:
            raise MalformedMessage(f"the labels of {product} cannot be read") from error


def index_key(line: str, product: str) -> str:
    """Return the key of the list of a product's labels."""
    return f"labels/{line}/{product}/index"


def picture_key(line: str, product: str, digest: str, ending: str) -> str:
    """Return the key of a kept picture; ``ending`` is jpg or png."""
    return f"labels/{line}/{product}/pictures/{digest}.{ending}"


def _signed(line: str, product: str, content: bytes) -> bytes:
    return b"\0".join((KIND, line.encode(), product.encode(), content))
