"""Encode one bank entry as bytes: a line of JSON, then the two PNGs."""

import json

from steadyline.bank.entry import BankEntry
from steadyline.errors import ContractBroken


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
    """Return the entry; raises ContractBroken when the bytes are not one (for example of another release)."""
    text, separator, blobs = data.partition(b"\n")
    try:
        head = json.loads(text)
        cut = int(head["picture_bytes"])
        if not separator or not 0 < cut <= len(blobs):
            raise ValueError("lengths do not fit")
        return BankEntry(
            id=head["id"],
            picture_png=blobs[:cut],
            mask_png=blobs[cut:],
            source=head["source"],
            transform=head["transform"],
            parameters=head["parameters"],
            acceptance=float(head["acceptance"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ContractBroken(
            f"a bank entry cannot be read ({error}): rebuild with `steadyline bank rebuild`"
        ) from error
