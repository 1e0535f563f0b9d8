"""Who may be believed on model-events.v1: the line's own trainer, and of it only what is not out of date."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from steadyline.contracts.headers import SIGNATURE, Headers, check_event, decode_event, encode_headers
from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import InvalidConfiguration, MalformedHeaders, OutdatedMessage, PoisonMessage
from steadyline.kafka.broker import Record
from steadyline.kafka.messages import decoded
from steadyline.settings import SigningSettings
from steadyline.signing import NO_KEYS, Signer, TrustedKeys, read_signer, read_trusted, signed_text

KIND = "steadyline model event v1"


@dataclass(frozen=True, slots=True)
class EventSeal:
    """How the model events of one line are signed and checked; a signer is the trainer's alone."""

    line: str
    trusted: TrustedKeys = NO_KEYS
    signer: Signer | None = None

    def headers(self, event: ModelEvent) -> Headers:
        """Return the headers of an event, its signature among them when there is a signer."""
        plain = event.headers(self.line, event.product, event.at)
        if self.signer is None:
            return plain
        signature = self.signer.sign(self._text(event.product, event.encode()))
        return plain + encode_headers({SIGNATURE: signature})

    def check(self, record: Record, event: ModelEvent) -> None:
        """Raise PoisonMessage unless it is an event of this line under its own product, signed if need be."""
        said = check_event(record.headers, record.key, event.TYPE, self.line)
        if said.subject != event.product:
            raise MalformedHeaders(f"an event of {event.product[:80]!r} under the key {said.subject[:80]!r}")
        self.trusted.check(self._text(event.product, record.value or b""), said.signature)

    def is_ours(self, record: Record) -> bool:
        """Return True when an event, which was checked, is signed as this seal signs."""
        if self.signer is None:
            return True
        said = decode_event(record.headers)
        return said.signature == self.signer.sign(self._text(said.subject, record.value or b""))

    def _text(self, product: str, value: bytes) -> bytes:
        return signed_text(KIND, self.line.encode(), product.encode(), value)


def read_seal(line: str, settings: SigningSettings, signs: bool = False) -> EventSeal:
    """Return the seal of a line by its settings; only the trainer ``signs``.

    Raises InvalidConfiguration when a key cannot be read, or when a trainer would not believe itself.
    """
    trusted, signer = read_trusted(settings), read_signer(settings) if signs else None
    if signs and trusted.is_set and (signer is None or signer.key_id not in trusted.keys):
        raise InvalidConfiguration(
            "STEADYLINE_TRUSTED_KEYS is set, and STEADYLINE_SIGNING_KEY is the private key of none of them: "
            "nobody would believe this trainer"
        )
    return EventSeal(line, trusted, signer)


class NewestEvents:
    """Keeps the newest event of each product that may be believed; used from one thread."""

    def __init__(self, seal: EventSeal) -> None:
        self._seal = seal
        self.by_product: dict[str, ModelEvent] = {}

    def admit(self, record: Record, event: ModelEvent) -> None:
        """Take an event as the newest of its product.

        Raises PoisonMessage when it is not to be believed, or when a newer one is known: one of a trainer
        that had lost its lease, or, where signatures tell who wrote it, one that was written before and is
        on the topic again.
        """
        self._seal.check(record, event)
        known = self.by_product.get(event.product)
        if event.is_stale(known):
            raise OutdatedMessage(f"an event of a trainer of {event.product} that had lost its lease")
        if self._seal.trusted.is_set and known is not None and event.sequence < known.sequence:
            raise OutdatedMessage(f"event {event.sequence} of {event.product} after {known.sequence}")
        self.by_product[event.product] = event

    def read(self, records: Iterable[Record], on_poison: Callable[[Record, PoisonMessage], None]) -> None:
        """Take records; what is not to be believed goes to ``on_poison``."""
        for record, event in decoded(records, ModelEvent, on_poison):
            try:
                self.admit(record, event)
            except PoisonMessage as error:
                on_poison(record, error)
