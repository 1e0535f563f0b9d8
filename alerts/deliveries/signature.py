"""Signs a webhook as Standard Webhooks want it, so that any of its libraries verifies it."""

import math
from datetime import UTC, datetime

from standardwebhooks import Webhook


def signed_headers(secret: str, id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers; ``now`` is when it is sent, for a receiver refuses what is minutes old."""
    # The library takes the moment's own digits for UTC, so it must be in UTC.
    seconds = math.floor(now.timestamp())
    signature = Webhook(secret).sign(msg_id=id, timestamp=now.astimezone(UTC), data=body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(seconds), "webhook-signature": signature}
