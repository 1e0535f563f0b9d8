"""The real tritonserver with our Python backend: closed where it must be, right where it can be checked."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import tritonclient.grpc as grpc
from onnx import TensorProto, helper, numpy_helper
from tritonclient.utils import InferenceServerException

from steadyline.servers import Addresses
from steadyline.servers.procfs import session_members
from tests.support.eventually import eventually
from tests.support.servers import OwnStack

pytestmark = pytest.mark.servers
CONFIG = """
backend: "onnxruntime"
max_batch_size: 16
input [{ name: "x" data_type: TYPE_FP32 dims: [ 3 ] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [ 3 ] }]
version_policy { latest { num_versions: 2 } }
dynamic_batching { }
instance_group [{ kind: KIND_CPU count: 1 }]
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def times(factor: float) -> bytes:
    """Return the smallest model whose answer is known by hand: y = factor · x."""
    shape: list[str | int] = ["n", 3]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "f"], ["y"])],
        "times",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array([factor], np.float32), "f")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(onnx.ModelProto.SerializeToString(model))


def publish(addresses: Addresses, name: str, version: int, data: bytes) -> None:
    """Put a version whole into the repository, as a trainer does."""
    folder = Path(addresses.triton_repository) / name
    folder.mkdir(exist_ok=True)
    (folder / "config.pbtxt").write_text(CONFIG)
    half = folder / f".half-{version}"
    half.mkdir()
    (half / "model.onnx").write_bytes(data)
    half.rename(folder / str(version))


class Client:
    """tritonclient with and without the key."""

    def __init__(self, addresses: Addresses) -> None:
        self._client = grpc.InferenceServerClient(addresses.triton_grpc)
        self._key = {"triton-grpc-protocol-admin-key": addresses.triton_admin_key}
        self._http = addresses.triton_http
        self._secret = addresses.triton_admin_key

    def load(self, name: str, with_key: bool = True) -> None:
        self._client.load_model(name, headers=self._key if with_key else None, client_timeout=20)

    def infer(self, name: str, x: np.ndarray, version: int | None = None) -> np.ndarray:
        tensor = grpc.InferInput("x", list(x.shape), "FP32")
        tensor.set_data_from_numpy(x)
        wanted = "" if version is None else str(version)
        answer = self._client.infer(name, [tensor], model_version=wanted, client_timeout=20)
        found: np.ndarray = answer.as_numpy("y")
        return found

    def post(self, path: str, with_key: bool) -> int:
        """Return the status of an empty POST over HTTP."""
        headers = {"admin-key": self._secret} if with_key else {}
        request = urllib.request.Request(f"http://{self._http}{path}", b"{}", headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def client(triton: Addresses) -> Iterator[Client]:
    made = Client(triton)
    yield made
    made.close()


def test_the_repository_api_is_closed_without_the_key(client: Client, triton: Addresses) -> None:
    publish(triton, "closed", 1, times(2))
    with pytest.raises(InferenceServerException, match="restricted"):
        client.load("closed", with_key=False)
    for path in ("/v2/repository/models/closed/load", "/v2/repository/index"):
        assert client.post(path, with_key=False) == 403
        assert client.post(path, with_key=True) == 200


def test_settings_that_write_files_are_closed_too(client: Client) -> None:
    assert client.post("/v2/logging", with_key=False) == 403
    assert client.post("/v2/trace/setting", with_key=False) == 403


def test_a_known_answer_comes_back_over_one_and_over_many_rows(client: Client, triton: Addresses) -> None:
    publish(triton, "known", 1, times(3))
    client.load("known")
    np.testing.assert_array_equal(client.infer("known", X), 3 * X)
    many = np.arange(48, dtype=np.float32).reshape(16, 3)
    np.testing.assert_array_equal(client.infer("known", many), 3 * many)


def test_a_new_version_answers_beside_the_old_one(client: Client, triton: Addresses) -> None:
    publish(triton, "swap", 1, times(1))
    client.load("swap")
    publish(triton, "swap", 2, times(2))
    client.load("swap")
    np.testing.assert_array_equal(client.infer("swap", X, version=1), X)
    np.testing.assert_array_equal(client.infer("swap", X, version=2), 2 * X)
    np.testing.assert_array_equal(client.infer("swap", X), 2 * X)


def test_a_broken_version_is_refused_with_its_reason_and_the_old_one_serves_on(
    client: Client, triton: Addresses
) -> None:
    publish(triton, "broken", 1, times(4))
    client.load("broken")
    publish(triton, "broken", 2, b"no ONNX at all")
    with pytest.raises(InferenceServerException, match=r"(?i)onnxruntime|protobuf"):
        client.load("broken")
    np.testing.assert_array_equal(client.infer("broken", X, version=1), 4 * X)


def test_wrong_input_is_an_error_of_the_request_and_not_of_the_server(
    client: Client, triton: Addresses
) -> None:
    publish(triton, "strict", 1, times(5))
    client.load("strict")
    with pytest.raises(InferenceServerException, match="shape"):
        client.infer("strict", np.zeros((1, 4), np.float32))
    np.testing.assert_array_equal(client.infer("strict", X), 5 * X)


def test_the_backends_processes_end_with_a_server_that_died_by_itself(own_stack: OwnStack) -> None:
    stack = own_stack("triton")
    client = Client(stack.addresses)
    publish(stack.addresses, "orphaned", 1, times(1))
    client.load("orphaned")
    session = stack.triton.pid
    assert len(session_members(session)) > 1, "the server and one process per model"
    os.kill(session, signal.SIGKILL)
    eventually(lambda: not stack.triton.is_alive, within=5)
    stack.triton.restart()
    assert session_members(session) == []
    client.load("orphaned")
    np.testing.assert_array_equal(client.infer("orphaned", X), X)
    client.close()


def test_metadata_and_health_stay_open(triton: Addresses) -> None:
    with urllib.request.urlopen(f"http://{triton.triton_http}/v2", timeout=5) as answer:
        assert json.load(answer)["name"] == "triton"
