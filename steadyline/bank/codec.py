"""Encode one bank entry as bytes: a line of JSON, then the two PNGs."""

import json

from pydantic import Field

from steadyline.bank.entry import BankEntry, BankLost
from steadyline.contracts.message import Part, Table, first_problem

MOST_HEAD_BYTES = 64 << 10
MOST_BYTES = 32 << 20  # of one entry; the largest pictures, 1024 x 1024 in colour, take 4 MB


class _EntryHead(Part):
    id: str
    source: str
    transform: str
    parameters: Table[str, float | int | str]
    acceptance: float
    picture_bytes: int = Field(ge=1, le=MOST_BYTES)


def encode_entry(entry: BankEntry) -> bytes:
    """Return the bytes of an entry; the same entry gives the same bytes."""
    head = {
        "id": entry.id,
        "source": entry.source,
        "transform": entry.transform,
        "parameters": entry.parameters,
        "acceptance": entry.acceptance,
        "picture_bytes": len(entry.picture_png),
    }
    text = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    return text + b"\n" + entry.picture_png + entry.mask_png


def decode_entry(data: bytes) -> BankEntry:
    """Return the entry; raises BankLost when the bytes are not one (damaged, foreign, of another release)."""
    text, separator, blobs = data.partition(b"\n")
    if len(text) > MOST_HEAD_BYTES:
        raise BankLost(f"an entry of a bank cannot be read: its head is over {MOST_HEAD_BYTES} bytes")
    try:
        head = _EntryHead.read(text)
    except ValueError as error:
        raise BankLost(f"an entry of a bank cannot be read: {first_problem(error)}") from error
    if not separator or head.picture_bytes > len(blobs):
        raise BankLost("an entry of a bank cannot be read: lengths do not fit")
    return BankEntry(
        id=head.id,
        picture_png=blobs[: head.picture_bytes],
        mask_png=blobs[head.picture_bytes :],
        source=head.source,
        transform=head.transform,
        parameters=head.parameters,
        acceptance=head.acceptance,
    )
