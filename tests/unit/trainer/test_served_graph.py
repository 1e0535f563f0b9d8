"""What Triton may be given: a graph whose operators are all standard and whose numbers all lie in it."""

from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from steadyline.errors import PackageRejected
from steadyline.triton import parse_config
from steadyline.triton_config import Serving
from tests.support.graphs import SIDE, a_graph
from tests.support.model_history import a_model
from tests.support.models import Contrast
from trainer.served_graph import DEEPEST, graph_outputs
from trainer.triton_config import config_of

OF_0_1 = Path(__file__).resolve().parents[2] / "data" / "package-of-0.1" / "model.onnx"


def outside() -> onnx.TensorProto:
    """Return numbers that lie in a file beside the model's."""
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/shadow")
    return tensor


def only_named() -> onnx.TensorProto:
    """Return numbers of which only the field that names the other file is set."""
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT)
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def with_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(outside())


def with_a_name_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(only_named())


def with_sparse_values(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=outside(), dims=[1]))


def with_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["w"], value=outside()))


def with_a_branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Run", [], ["w"], domain="evil")], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner))


def with_a_custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Run", ["picture"], ["x"], domain="com.example"))


def with_a_contributed_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Inverse", ["picture"], ["x"], domain="com.microsoft"))


def with_functions(model: onnx.ModelProto) -> None:
    model.functions.append(onnx.FunctionProto(name="f", domain="own"))


def with_training(model: onnx.ModelProto) -> None:
    info = onnx.TrainingInfoProto()
    info.algorithm.initializer.append(outside())
    model.training_info.append(info)


def without_a_map(model: onnx.ModelProto) -> None:
    del model.graph.output[1]


def with_two_maps(model: onnx.ModelProto) -> None:
    model.graph.output.append(model.graph.output[1])


def with_a_map_of_any_size(model: onnx.ModelProto) -> None:
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_param = "h"


def with_an_endless_map(model: onnx.ModelProto) -> None:
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def test_graphs_of_ours_are_served_with_the_map_they_answer_with() -> None:
    assert graph_outputs(a_graph("x")).map_shape == (2, 2)
    assert graph_outputs(Contrast(size=64, layers=2).onnx()).map_shape == (8, 8)
    assert graph_outputs(OF_0_1.read_bytes()).map_shape == (8, 8)


@pytest.mark.parametrize(
    "change",
    [
        with_initializer,
        with_a_name_alone,
        with_sparse_values,
        with_a_constant,
        with_a_branch,
        with_a_custom_operator,
        with_a_contributed_operator,
        with_functions,
        with_training,
        without_a_map,
        with_two_maps,
        with_a_map_of_any_size,
        with_an_endless_map,
    ],
)
def test_a_graph_that_reaches_beyond_its_file_is_refused(change: object) -> None:
    model = onnx.load_from_string(a_graph("x"))
    assert callable(change)
    change(model)
    with pytest.raises(PackageRejected, match="model file"):
        graph_outputs(model.SerializeToString())


def test_what_a_second_graph_field_brings_is_seen_too() -> None:
    """Protobuf merges what a field of one message says twice, so a reader of the first one is fooled."""
    more = onnx.ModelProto()
    more.graph.node.append(helper.make_node("Run", ["picture"], ["x"], domain="com.example"))
    with pytest.raises(PackageRejected, match=r"com\.example"):
        graph_outputs(a_graph("x") + more.SerializeToString())


@pytest.mark.parametrize("beyond", [0, 1 << 32, 1 << 33, 7 << 32])
@pytest.mark.parametrize("length", range(1, 11))
def test_a_field_is_seen_however_its_number_is_written(length: int, beyond: int) -> None:
    """The runtime keeps 32 bits of a tag, so that one with more of them is a field that others do not see."""
    more = onnx.ModelProto()
    more.graph.node.append(helper.make_node("Run", ["picture"], ["x"], domain="com.example"))
    tag, rest = more.SerializeToString()[0], more.SerializeToString()[1:]
    number = tag | beyond
    written = [
        number >> 7 * place & 0x7F | 0x80 for place in range(max(length, -(-number.bit_length() // 7)))
    ]
    written[-1] &= 0x7F
    with pytest.raises(PackageRejected, match=r"com\.example|cuts off"):
        graph_outputs(a_graph("x") + bytes(written) + rest)


def test_a_graph_within_a_graph_within_a_graph_ends() -> None:
    graph = onnx.GraphProto(name="inner")
    for _ in range(DEEPEST):
        graph = helper.make_graph([helper.make_node("Loop", [], ["x"], body=graph)], "g", [], [])
    with pytest.raises(PackageRejected, match="nests more than"):
        graph_outputs(helper.make_model(graph).SerializeToString())


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(PackageRejected):
        graph_outputs(data)


@given(st.integers(0, len(a_graph("x")) - 1), st.integers(0, 255))
def test_any_changed_byte_is_read_or_refused(at: int, byte: int) -> None:
    model = bytearray(a_graph("x"))
    model[at] = byte
    try:
        height, width = graph_outputs(bytes(model)).map_shape
    except PackageRejected:
        return
    assert 0 < height <= 4096
    assert 0 < width <= 4096


def test_the_configuration_is_made_from_the_event_and_the_graph() -> None:
    said = a_model(1).model_copy(update={"size": SIDE, "channels": "rgb"})
    config = parse_config(config_of("cell", said, a_graph("x"), Serving(max_batch=5)).decode())
    assert (config.name, config.backend, config.max_batch_size) == ("cell", "onnxruntime", 5)
    assert list(config.input[0].dims) == [SIDE, SIDE, 3]
    assert list(config.output[1].dims) == [2, 2]


def test_a_certified_part_is_served_where_the_graph_has_one_and_a_claim_without_one_is_refused() -> None:
    certified, plain = Contrast(is_certified=True), Contrast()
    assert graph_outputs(certified.onnx()).is_certified
    said = certified.event_model(1)
    config = parse_config(config_of("cell", said, certified.onnx(), Serving()).decode())
    assert [item.name for item in config.output] == ["score", "map", "certified_score"]
    with pytest.raises(PackageRejected, match="no output 'certified_score'"):
        config_of("cell", said, plain.onnx(), Serving())


def test_a_certified_score_is_one_number_a_picture() -> None:
    model = onnx.load_from_string(a_graph("x"))
    model.graph.output.append(helper.make_tensor_value_info("certified_score", TensorProto.FLOAT, ["B", 3]))
    with pytest.raises(PackageRejected, match="is not one score"):
        graph_outputs(model.SerializeToString())


def test_halves_are_served_where_the_graph_has_them_and_a_claim_without_them_is_refused() -> None:
    halves, plain = Contrast(has_halves=True), Contrast()
    assert graph_outputs(halves.onnx()).has_halves
    said = halves.event_model(1)
    config = parse_config(config_of("cell", said, halves.onnx(), Serving()).decode())
    assert [(item.name, list(item.dims)) for item in config.output][2:] == [("halves", [2])]
    with pytest.raises(PackageRejected, match="no output 'halves'"):
        config_of("cell", said, plain.onnx(), Serving())
    model = onnx.load_from_string(a_graph("x"))
    model.graph.output.append(helper.make_tensor_value_info("halves", TensorProto.FLOAT, ["B", 3]))
    with pytest.raises(PackageRejected, match="is not two scores"):
        graph_outputs(model.SerializeToString())


def test_a_package_of_an_earlier_release_is_served_with_the_outputs_it_has() -> None:
    said = a_model(1).model_copy(update={"size": 32})
    config = parse_config(config_of("cell", said, OF_0_1.read_bytes(), Serving()).decode())
    assert [item.name for item in config.output] == ["score", "map"]
