"""Whatever a package holds, Triton's repository gets one graph of standard operators and our own file."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from google.protobuf.message import Message

from steadyline.contracts.model_event import Package
from steadyline.digest import sha256
from steadyline.grid import Grid
from steadyline.manifest import SUMS, manifest_text
from steadyline.model_folder import CONFIG, FENCE
from steadyline.package import CARD, MODEL, NEVER_READ, read_card, write_card
from steadyline.store import Store
from steadyline.triton import parse_config
from steadyline.triton_config import Accelerator, ServedShape, Serving, config_pbtxt
from tests.support.graphs import SIDE, a_graph
from tests.support.works import Works, WorksSetUp
from trainer.lifecycle.repository import ModelRepository

OURS = config_pbtxt(ServedShape("cell", Grid.square(SIDE), 1, 2, 2), Serving()).encode()
PYTHON_CONFIG = b'name: "cell"\nbackend: "python"\nparameters { key: "EXECUTION_ENV_PATH" }\n'
PYTHON_CODE = b"import os\nos.system('id')\n"

Graph = Callable[[onnx.ModelProto], None]


@pytest.fixture
def works(tmp_path: Path) -> Works:
    """A line whose store is a disk, on which a stranger may write what he likes."""
    (tmp_path / "triton").mkdir()
    store = Store(f"file://{tmp_path / 'store'}")
    return Works(tmp_path / "triton", set_up=WorksSetUp(store=store))


def folder_of(works: Works, version: int) -> Path:
    return Path(works.store.uri(works.packages.key("cell", version)).removeprefix("file://"))


def in_repository(works: Works) -> dict[str, bytes]:
    """Return every file of the repository; nothing there is a link."""
    paths = sorted(works.folder.rglob("*"))
    assert not [path for path in paths if path.is_symlink()]
    found = {str(path.relative_to(works.folder)): path.read_bytes() for path in paths if path.is_file()}
    del found[f"cell/{FENCE}"]
    return found


def code_beside(folder: Path) -> None:
    (folder / "model.py").write_bytes(PYTHON_CODE)


def code_in_a_version(folder: Path) -> None:
    (folder / "1").mkdir()
    (folder / "1" / "model.py").write_bytes(PYTHON_CODE)


def a_configuration(folder: Path) -> None:
    (folder / CONFIG).write_bytes(PYTHON_CONFIG)


def data_beside(folder: Path) -> None:
    (folder / "model.onnx.data").write_bytes(b"\0" * 64)


def a_link_to_code(folder: Path) -> None:
    (folder / "model.py").symlink_to("/usr/lib/os-release")


def a_graph_that_is_a_link(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere.onnx"
    (folder / MODEL).rename(elsewhere)
    (folder / MODEL).symlink_to(elsewhere)


@pytest.mark.parametrize(
    "hostile",
    [code_beside, code_in_a_version, a_configuration, data_beside, a_link_to_code, a_graph_that_is_a_link],
)
def test_a_package_with_anything_else_in_it_never_reaches_triton(
    works: Works, hostile: Callable[[Path], None]
) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    before = in_repository(works)
    result = works.trained(2, b"0.5")
    hostile(folder_of(works, 2))
    works.rollout.decide(result)
    assert works.state.event.live_version == 1
    assert works.state.event.changes[-1].reason.startswith("training_failed: package_rejected")
    assert in_repository(works) == before == {f"cell/{CONFIG}": OURS, f"cell/1/{MODEL}": a_graph("0.5")}


def test_a_configuration_that_the_package_names_is_not_read_either(works: Works) -> None:
    """Release 0.1 packed one; whoever writes a package of that form gets ours."""
    result = works.trained(1, b"0.5")
    digests = {**result.package.digests, NEVER_READ: sha256(PYTHON_CONFIG)}
    a_configuration(folder_of(works, 1))
    (folder_of(works, 1) / SUMS).write_bytes(manifest_text(digests))
    package = result.package.model_copy(update={"digests": digests})
    works.rollout.decide(result.model_copy(update={"package": package}))
    assert works.state.event.live_version == 1
    assert in_repository(works) == {f"cell/{CONFIG}": OURS, f"cell/1/{MODEL}": a_graph("0.5")}


def test_no_text_of_a_card_comes_into_the_configuration(works: Works) -> None:
    result = works.trained(1, b"0.5")
    text = '"\nbackend: "python'
    files = works.packages.load("cell", 1, result.package)
    hostile = {"detector": text, "profile": text, "lineage": {text: text}, "licence": text}
    card = read_card(files).model_copy(update=hostile)
    package: Package = works.packages.write("cell", 1, {**files, CARD: write_card(card)})
    works.rollout.decide(result.model_copy(update={"package": package}))
    assert works.state.event.live_version == 1
    assert in_repository(works)[f"cell/{CONFIG}"] == OURS


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Let a tensor say that its numbers lie in another file."""
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return tensor


def external_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external(onnx.helper.make_tensor("w", 1, [1], [1.0])))


def external_attribute(model: onnx.ModelProto) -> None:
    tensor = external(onnx.helper.make_tensor("w", 1, [1], [1.0]))
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["w"], value=tensor))


def custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Run", ["picture"], ["x"], domain="com.example"))


def custom_operator_in_a_branch(model: onnx.ModelProto) -> None:
    node = onnx.helper.make_node("Run", ["picture"], ["x"], domain="com.microsoft.extensions")
    branch = onnx.helper.make_graph([node], "branch", [], [])
    model.graph.node.append(
        onnx.helper.make_node("If", ["picture"], ["y"], then_branch=branch, else_branch=branch)
    )


def own_function(model: onnx.ModelProto) -> None:
    model.functions.append(onnx.FunctionProto(name="f", domain="ai.onnx"))


@pytest.mark.parametrize(
    "hostile",
    [
        external_initializer,
        external_attribute,
        custom_operator,
        custom_operator_in_a_branch,
        own_function,
    ],
)
def test_a_graph_that_reaches_beyond_itself_never_reaches_triton(works: Works, hostile: Graph) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    before = in_repository(works)
    model = onnx.load_from_string(a_graph("0.5"))
    hostile(model)
    works.rollout.decide(works.trained(2, b"0.5", graph=model.SerializeToString()))
    assert works.state.event.live_version == 1
    assert works.state.event.changes[-1].reason.startswith("package_rejected: the model file")
    assert in_repository(works) == before


def test_what_strangers_left_in_the_repository_goes_with_the_next_writing(tmp_path: Path) -> None:
    repository, product, elsewhere = ModelRepository(tmp_path), tmp_path / "cell", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / MODEL).write_bytes(b"one")

    def is_clean() -> bool:
        repository.publish("cell", 1, b"one", OURS, keep=None)
        own = product / "1"
        names = [path.name for path in own.iterdir()]
        return names == [MODEL] and not own.is_symlink() and not (own / MODEL).is_symlink()

    assert is_clean()
    (product / "1" / "model.py").write_bytes(PYTHON_CODE)
    assert is_clean()
    (product / "1" / MODEL).unlink()
    (product / "1" / MODEL).symlink_to(elsewhere / MODEL)  # the same bytes, today
    assert is_clean()
    (product / "1" / MODEL).unlink()
    (product / "1").rmdir()
    (product / "1").symlink_to(elsewhere)
    assert is_clean()
    (product / "2").symlink_to(elsewhere)
    (product / ".gone1").symlink_to(elsewhere)
    assert is_clean()
    assert not (product / "2").exists()
    assert (elsewhere / MODEL).read_bytes() == b"one", "nothing behind a link is touched"


def test_whatever_else_lies_in_a_product_s_folder_goes_with_the_next_writing(tmp_path: Path) -> None:
    """Triton looks for its backend's library in the folder of a product before it looks in its own."""
    repository, product, elsewhere = ModelRepository(tmp_path), tmp_path / "cell", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    repository.publish("cell", 1, b"one", OURS, keep=None)
    (product / "libtriton_onnxruntime.so").write_bytes(b"\x7fELF")
    (product / "9" / MODEL).mkdir(parents=True)
    (product / "01").mkdir()
    (product / "²").mkdir()
    (product / "configs" / "deep").mkdir(parents=True)
    (product / "code").symlink_to(elsewhere)
    (product / "1" / "model.py").write_bytes(PYTHON_CODE)
    (product / "1" / "code").mkdir()
    (product / ".tmp7").mkdir()
    (product / CONFIG).unlink()
    (product / CONFIG).mkdir()
    (product / f".{CONFIG}.partial").mkdir()
    repository.publish("cell", 2, b"two", OURS, keep=1)
    assert sorted(str(path.relative_to(product)) for path in product.rglob("*") if path.is_file()) == [
        FENCE,
        f"1/{MODEL}",
        f"2/{MODEL}",
        CONFIG,
    ]
    assert sorted(path.name for path in product.iterdir()) == [FENCE, "1", "2", CONFIG]
    assert (elsewhere / "deep").is_dir(), "nothing behind a link is touched"


@pytest.mark.parametrize("act", [ModelRepository.touch, ModelRepository.remove])
def test_before_triton_loads_anew_a_library_is_gone(
    tmp_path: Path, act: Callable[[ModelRepository, str, int], None]
) -> None:
    repository, library = ModelRepository(tmp_path), tmp_path / "cell" / "libtriton_onnxruntime.so"
    for version, keep in ((1, None), (2, 1)):
        repository.publish("cell", version, b"one", OURS, keep)
    library.write_bytes(b"\x7fELF")
    act(repository, "cell", 2)
    assert not library.exists()
    assert 1 in repository.versions("cell")


def test_a_live_version_that_is_a_link_or_holds_no_plain_file_goes_too(tmp_path: Path) -> None:
    repository, product, elsewhere = ModelRepository(tmp_path), tmp_path / "cell", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / MODEL).write_bytes(b"theirs")
    product.mkdir()
    (product / "1").symlink_to(elsewhere)
    repository.publish("cell", 2, b"two", OURS, keep=1)
    assert repository.versions("cell") == [2]
    (product / "2" / MODEL).unlink()
    (product / "2" / MODEL).symlink_to(elsewhere / MODEL)
    repository.publish("cell", 3, b"three", OURS, keep=2)
    assert repository.versions("cell") == [3]
    assert (elsewhere / MODEL).read_bytes() == b"theirs"


def test_a_folder_and_a_fence_that_are_links_are_replaced(tmp_path: Path) -> None:
    repository, product, elsewhere = ModelRepository(tmp_path), tmp_path / "cell", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(b"theirs")
    product.symlink_to(elsewhere)
    repository.publish("cell", 1, b"one", OURS, keep=None)
    (product / FENCE).unlink()
    (product / FENCE).symlink_to(elsewhere / "kept")
    ModelRepository(tmp_path, lambda *_: 9).publish("cell", 1, b"one", OURS, keep=None)
    assert not product.is_symlink()
    assert not (product / FENCE).is_symlink()
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]
    assert (elsewhere / "kept").read_bytes() == b"theirs"


FIXED = {
    *("name", "backend", "max_batch_size", "input", "output", "version_policy", "dynamic_batching"),
    *("instance_group", "parameters", "optimization"),
}
FIXED_PARAMETERS = {
    *("intra_op_thread_count", "inter_op_thread_count", "session.intra_op.allow_spinning"),
    *("precision_mode", "max_workspace_size_bytes", "trt_engine_cache_enable", "trt_engine_cache_path"),
}


def parameters_of(message: Message) -> set[str]:
    """Return the keys of every table of a configuration."""
    found: set[str] = set()
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            found |= set(value)
        elif field.message_type is not None:
            for one in value if hasattr(value, "__len__") else [value]:
                found |= parameters_of(one)
    return found


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
def test_a_configuration_says_nothing_but_what_is_on_the_list(accelerator: Accelerator) -> None:
    for is_certified in (False, True):
        served = ServedShape("cell", Grid.square(64), 3, 16, 16, is_certified)
        config = parse_config(config_pbtxt(served, Serving(accelerator)))
        assert {field.name for field, _ in config.ListFields()} <= FIXED
        assert config.backend == "onnxruntime"
        assert parameters_of(config) <= FIXED_PARAMETERS
        assert parameters_of(config), "the walk sees tables"
