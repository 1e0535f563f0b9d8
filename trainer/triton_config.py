"""Make ``config.pbtxt`` of a version from what is known of it."""

from dataclasses import replace

from steadyline.contracts.model_event import Model
from steadyline.errors import PackageRejected
from steadyline.inference import CERTIFIED_SCORE, HALVES
from steadyline.triton_config import ServedShape, Serving, config_pbtxt
from trainer.served_graph import graph_outputs


def config_of(product: str, model: Model, file: bytes, serving: Serving) -> bytes:
    """Return the configuration of a version, made from what the event says of it and from its model file.

    Nothing of it is copied from a package. Batches shrink as the model's pictures grow. Raises
    PackageRejected when the file may not be served, and when it has not the certified part or the halves that
    the event says it has.
    """
    channels, found = 3 if model.channels == "rgb" else 1, graph_outputs(file)
    if model.is_certified and not found.is_certified:
        raise PackageRejected(f"the model file has no output {CERTIFIED_SCORE!r}, and the model is certified")
    if model.halves and not found.has_halves:
        raise PackageRejected(f"the model file has no output {HALVES!r}, and the model has halves")
    served = ServedShape(
        product, model.grid, channels, *found.map_shape, found.is_certified, found.has_halves
    )
    fewer = replace(serving, max_batch=model.grid.batch(serving.max_batch))
    return config_pbtxt(served, fewer).encode()
