"""The model in use, per product, and its swap: replaced whole, or not at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steadyline.contracts.model_event import Model
from steadyline.inference import ModelRef

NO_LIVE_MODEL = "no_live_model"  # why frames wait while the product has no model in service


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model that has given its known answers; thresholds and version change together with it."""

    ref: ModelRef
    model: Model

    @property
    def input(self) -> tuple[int, str]:
        """Size and channels of the pictures it takes."""
        return self.model.size, self.model.channels


class ModelSlot:
    """One product's model. Written by one thread; a batch reads ``current`` once and keeps that object."""

    def __init__(self, product: str) -> None:
        self.product = product
        self._model: ActiveModel | None = None
        self._doubt = ""

    @property
    def current(self) -> ActiveModel | None:
        """The model to ask; None while there is none or its answers are in doubt."""
        return None if self._doubt else self._model

    @property
    def known(self) -> Model | None:
        """The model put in last, in doubt or not."""
        return self._model.model if self._model is not None else None

    @property
    def held_reason(self) -> str:
        """Why ``current`` is None, in one word; empty when it is not."""
        return self._doubt or ("" if self._model is not None else NO_LIVE_MODEL)

    def put(self, model: Model) -> None:
        """Use ``model``, which has been probed."""
        self._model = ActiveModel(ModelRef(self.product, model.version), model)
        self._doubt = ""

    def suspend(self, reason: str) -> None:
        """Hold frames from now on: the model gives wrong answers. ``resume`` ends it."""
        self._doubt = reason

    def resume(self) -> None:
        """The model gives its known answers (again)."""
        self._doubt = ""

    def clear(self) -> None:
        """The product has no model in service any more."""
        self._model = None
        self._doubt = ""


Slots = Mapping[str, ModelSlot]


def empty_slots(products: Iterable[str]) -> dict[str, ModelSlot]:
    """Return a slot for each product."""
    return {product: ModelSlot(product) for product in products}
