"""The model in use per product; a swap replaces it whole, or not at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steadyline.contracts.model_event import Model
from steadyline.contracts.station import Station
from steadyline.grid import Grid
from steadyline.inference import ModelRef

NO_LIVE_MODEL = "no_live_model"  # why frames wait while the product has no model in service


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model that has given its known answers; its thresholds and its version change together."""

    ref: ModelRef
    model: Model

    @property
    def input(self) -> tuple[Grid, str]:
        """Grid and channels of the pictures that the model takes."""
        return self.model.grid, self.model.channels

    def station_of(self, camera: str) -> Station | None:
        """Return how the pictures of a camera are put right before they are scored, or None."""
        return self.model.stations.get(camera)

    @property
    def is_pair(self) -> bool:
        """True when the map is another detector's than the score, and so on a scale of its own."""
        return "+" in self.model.detector


class ModelSlot:
    """The model of one product. One thread writes it; a batch reads ``current`` once and keeps it."""

    def __init__(self, product: str) -> None:
        self.product = product
        self._model: ActiveModel | None = None
        self._doubt = ""

    @property
    def current(self) -> ActiveModel | None:
        """The model to ask, or None while there is none or it is suspended."""
        return None if self._doubt else self._model

    @property
    def known(self) -> Model | None:
        """The model that was put in last, whether suspended or not."""
        return self._model.model if self._model is not None else None

    @property
    def held_reason(self) -> str:
        """Why ``current`` is None, in one word; empty when it is not."""
        return self._doubt or ("" if self._model is not None else NO_LIVE_MODEL)

    def put(self, model: Model) -> None:
        """Use ``model``, which has been probed."""
        self._model = ActiveModel(ModelRef.of(self.product, model), model)
        self._doubt = ""

    def suspend(self, reason: str) -> None:
        """Hold frames from now on, because the model gives wrong answers; ``resume`` ends this."""
        self._doubt = reason

    def resume(self) -> None:
        """Use the model again, because it gives its known answers."""
        self._doubt = ""

    def clear(self) -> None:
        """Note that the product has no model in service any more."""
        self._model = None
        self._doubt = ""


Slots = Mapping[str, ModelSlot]


def empty_slots(products: Iterable[str]) -> dict[str, ModelSlot]:
    """Return a slot for each product."""
    return {product: ModelSlot(product) for product in products}
