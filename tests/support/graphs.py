"""The smallest ONNX graph that may be served, with a word in it that tells one from another."""

import onnx
from onnx import TensorProto, helper

SIDE = 8


def a_graph(word: str, cells: int = 2) -> bytes:
    """Return a model file with a picture, a score and a map of so many rows and columns; it says ``word`` of
    itself.
    """
    nodes = [helper.make_node("Cast", ["picture"], ["map"], to=TensorProto.FLOAT)]
    graph = helper.make_graph(
        nodes,
        "smallest",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["B", SIDE, SIDE, 1])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["B", cells, cells]),
        ],
    )
    return bytes(helper.make_model(graph, producer_name=word).SerializeToString())


def word_of(model: bytes) -> str:
    """Return the word that a graph was made with."""
    return str(onnx.load_from_string(model).producer_name)
