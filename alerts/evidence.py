"""Reads pictures and maps of this line's evidence, whatever address a score has named."""

from steadyline.contracts.evidence import EvidenceKey, is_evidence_of
from steadyline.errors import MalformedMessage, StoreUnavailable
from steadyline.line import Line
from steadyline.store import NotInStore, Store

MOST_BYTES = 16 << 20


class EvidenceReader:
    """Gives out evidence of one line only; safe from any thread."""

    def __init__(self, store: Store, line: Line, most_bytes: int = MOST_BYTES) -> None:
        self._store, self._most = store, most_bytes
        self._line, self._topics = line.line, line.kafka_topics()

    def key(self, uri: str) -> EvidenceKey | None:
        """Return the key that an address is; None when it is not of this line's evidence."""
        try:
            key = EvidenceKey.parse(self._store.key(uri))
        except (NotInStore, MalformedMessage):
            return None
        return key if is_evidence_of(key, self._line, self._topics) else None

    def read(self, key: EvidenceKey) -> bytes | None:
        """Return the bytes; None when they are not there, or more than any evidence of ours has.

        Raises StoreUnavailable.
        """
        try:
            data = self._store.get(str(key), self._most)
        except NotInStore:
            return None
        return data if len(data) <= self._most else None

    def look(self, uri: str) -> bytes | None:
        """Return the bytes at an address; None also while the store is away."""
        key = self.key(uri)
        try:
            return None if key is None else self.read(key)
        except StoreUnavailable:
            return None
