"""The proof in a frame's headers that this producer wrote it, for its own search of the topic.

Whoever may write frames can write one with any id. A producer that believed such a frame would count as
published what it never sent, or give up what it still has. The proof is an HMAC of the id under a secret of
the epoch, which never leaves the producer's folder. A frame that is read, copied and written again proves
what is true all the same: that the frame with this id was published.
"""

import hmac
from collections.abc import Sequence

from steadyline.contracts.frame import FrameId

HEADER = "proof"
SECRET_BYTES = 32


def proof_of(frame: FrameId, secret: bytes) -> bytes:
    """Return the value of the header."""
    return hmac.digest(secret, str(frame).encode(), "sha256").hex().encode()


def is_proven(frame: FrameId, headers: Sequence[tuple[str, bytes | None]], secret: bytes) -> bool:
    """Return True when the headers carry the proof of ``frame``, once."""
    found = [value or b"" for name, value in headers if name == HEADER]
    return len(found) == 1 and hmac.compare_digest(found[0], proof_of(frame, secret))
