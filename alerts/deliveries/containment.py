"""Hands a parcel over so that a fault of ours stays with its subscription."""

from alerts.deliveries.failure import DeliveryFailed, SenderFaulty
from alerts.deliveries.parcel import Parcel, ParcelSender, Receipt
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


def send_contained(sender: ParcelSender, parcel: Parcel) -> Receipt:
    """Return what ``sender`` returns; raises DeliveryFailed for whatever else it raises.

    What a subscription is told comes from frames, people and endpoints. A text that a library of ours trips
    over would otherwise end process after process, and with them the deliveries of everybody.
    """
    try:
        return sender.send(parcel)
    except DeliveryFailed:
        raise
    except Exception as error:
        log.error("bug", delivery=parcel.id, channel=parcel.subscription.channel.kind, exc_info=error)
        raise SenderFaulty(f"our own fault, which the log tells: {type(error).__name__}") from error
