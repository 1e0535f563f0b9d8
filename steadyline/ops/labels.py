"""Reads what a line's trainer keeps of labelled frames in the store."""

from dataclasses import dataclass

from steadyline.contracts.kept_labels import MOST_INDEX_BYTES, KeptLabel, KeptLabels, index_key
from steadyline.errors import PoisonMessage
from steadyline.signing import NO_KEYS, TrustedKeys
from steadyline.store import NotInStore, Store


@dataclass(frozen=True, slots=True)
class ProductLabels:
    """The labels of one product, oldest first; ``problem`` says why there are none to be believed."""

    product: str
    labels: tuple[KeptLabel, ...] = ()
    problem: str | None = None

    def count(self, label: str) -> int:
        """Return how many frames carry a label."""
        return sum(row.label == label for row in self.labels)

    @property
    def without_picture(self) -> int:
        """How many labels have no picture kept."""
        return sum(row.picture is None for row in self.labels)


def kept_labels(store: Store, line: str, product: str, trusted: TrustedKeys = NO_KEYS) -> ProductLabels:
    """Return what is kept of a product; raises StoreUnavailable."""
    try:
        data = store.get(index_key(line, product), MOST_INDEX_BYTES)
        kept = KeptLabels.unpack(data, line, product, trusted.check)
    except NotInStore:
        return ProductLabels(product)
    except PoisonMessage as error:
        return ProductLabels(product, problem=f"{error.reason}: {error}")
    return ProductLabels(product, tuple(kept.labels))
