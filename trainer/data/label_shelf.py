"""The labels of a product in the store: the list of them, and their pictures under their digests.

Every scorer may write to the store. A picture is what its digest says or it is not used, and where keys are
trusted a list that the trainer has not signed is none.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from steadyline.contracts.kept_labels import (
    MOST_INDEX_BYTES,
    KeptLabel,
    KeptLabels,
    Without,
    index_key,
    picture_key,
)
from steadyline.digest import sha256
from steadyline.errors import PoisonMessage, StoreUnavailable
from steadyline.kafka.model_events import EventSeal
from steadyline.store import NotInStore, Store
from steadyline.telemetry.logs import get_logger
from trainer.data.sightings import Normal

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LabelShelf:
    """Reads and writes the labels of one product. Methods raise StoreUnavailable."""

    store: Store
    seal: EventSeal
    product: str
    most_bytes: int

    def read(self) -> list[KeptLabel]:
        """Return what is kept; nothing when there is no list, or none that may be believed."""
        try:
            return self.believed()
        except PoisonMessage as error:
            log.error("labels_not_believed", product=self.product, reason=error.reason, error=str(error))
            return []

    def believed(self) -> list[KeptLabel]:
        """Return what is kept, nothing when there is no list; raises PoisonMessage when it is no list of the
        line's trainer.
        """
        try:
            data = self.store.get(index_key(self.seal.line, self.product), MOST_INDEX_BYTES)
        except NotInStore:
            return []
        return list(KeptLabels.unpack(data, self.seal.line, self.product, self.seal.trusted.check).labels)

    def write(self, labels: list[KeptLabel]) -> None:
        """Keep this list in place of the one before."""
        signer = self.seal.signer
        data = KeptLabels(labels=labels).pack(
            self.seal.line, self.product, None if signer is None else signer.sign
        )
        self.store.put(index_key(self.seal.line, self.product), data)

    def copy(self, seen: Normal) -> tuple[str | None, Without | None]:
        """Keep the picture of a frame; return its key, or why it cannot be kept."""
        data = self._get(seen.picture_uri)
        if not isinstance(data, bytes):
            return None, data
        if sha256(data) != seen.picture_sha256:
            return None, "changed"
        ending = PurePosixPath(seen.picture_uri).suffix.removeprefix(".")
        key = picture_key(self.seal.line, self.product, seen.picture_sha256, ending)
        self.store.put(key, data, "image/png" if ending == "png" else "image/jpeg")
        return key, None

    def picture(self, kept: KeptLabel) -> bytes | None:
        """Return a kept picture; None when it is gone or is not what its digest says."""
        digest = kept.picture_sha256 or ""
        if kept.picture not in {
            picture_key(self.seal.line, self.product, digest, end) for end in ("jpg", "png")
        }:
            return None
        data = self._get(kept.picture or "")
        return data if isinstance(data, bytes) and sha256(data) == digest else None

    def forget(self, picture: str) -> None:
        """Remove a picture."""
        self.store.delete(picture)

    def _get(self, uri_or_key: str) -> bytes | Without:
        try:
            data = self.store.get(uri_or_key, self.most_bytes)
        except NotInStore:
            return "gone"
        except StoreUnavailable as error:
            self.store.exists("evidence")  # raises when it is the store that is away and not this one object
            log.warning("labelled_picture_unreadable", picture=uri_or_key, error=str(error))
            return "unreadable"
        return data if len(data) <= self.most_bytes else "unreadable"
