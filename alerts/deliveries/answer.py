"""What an endpoint's HTTP answer means for a delivery."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from alerts.deliveries.failure import EndpointGone, EndpointRedirects, EndpointRefuses
from alerts.deliveries.http_client import HttpAnswer
from alerts.deliveries.parcel import Receipt

LONGEST_WAIT = timedelta(hours=1)  # whatever an endpoint asks for


def receipt_of(answer: HttpAnswer, now: datetime) -> Receipt:
    """Return the receipt of a 2xx; raises the DeliveryFailed that any other status stands for."""
    if 200 <= answer.status < 300:
        return Receipt(answer.status, answer.head)
    text = f"status {answer.status}"
    if answer.status == 410:
        raise EndpointGone(text, answer.status, answer.head)
    if 300 <= answer.status < 400:
        raise EndpointRedirects(text, answer.status, answer.head)
    raise EndpointRefuses(text, answer.status, answer.head, retry_after(answer.retry_after, now))


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Return how long a ``Retry-After`` asks to wait, seconds or a date; None where it is neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(timedelta(0), moment - now), LONGEST_WAIT)
