"""The watch over a model in service, on the real Triton: what sees, what went blind, what does not answer."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import InferenceUnavailable
from steadyline.probe import probe
from steadyline.servers import LocalStack
from steadyline.servers.procfs import session_members, start_time
from tests.support.eventually import eventually
from tests.support.trainer_line import Orders, TrainerLine

pytestmark = pytest.mark.servers


@pytest.fixture
def watched(trained: TrainerLine) -> TrainerLine:
    """The line, looked at every second."""
    trained.work(Orders(watch="1s"))
    trained.wait_for(is_("seeing"), "seeing", 60)
    return trained


def is_(state: str) -> Callable[[ModelEvent], bool]:
    return lambda event: event.health is not None and event.health.state == state


def blinded(model: bytes) -> bytes:
    """Return the model with a score that is 0 whatever it sees."""
    proto = onnx.load_from_string(model)
    graph = proto.graph
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == "score":
                node.output[index] = "seen_score"
    graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), "blindness"))
    graph.node.append(helper.make_node("Mul", ["seen_score", "blindness"], ["score"]))
    assert graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def test_a_model_that_went_blind_in_service_is_told_by_an_event_and_a_metric_and_so_is_its_recovery(
    watched: TrainerLine,
) -> None:
    trainer, live = watched.work(watched.orders), watched.live()
    eventually(lambda: trainer.series("trainer_watch_sees_info") == [1], 60, "a first round")
    served = watched.repository / str(live.version) / "model.onnx"
    seeing = served.read_bytes()
    served.write_bytes(blinded(seeing))
    watched.triton.load(watched.product)
    event = watched.wait_for(is_("blind"), "blind", 60)
    assert event.health is not None
    assert event.health.reason == "constant_scores: every frame has the same score"
    assert event.live_version == event.health.version == live.version
    eventually(lambda: trainer.series("trainer_watch_sees_info") == [0], 10)
    assert "is blind: constant_scores" in watched.models("history", watched.product).stdout
    served.write_bytes(seeing)
    watched.triton.load(watched.product)
    watched.wait_for(is_("seeing"), "seeing again", 60)
    eventually(lambda: trainer.series("trainer_watch_sees_info") == [1], 10)


def newest_model_process(triton: LocalStack) -> int:
    """Return the process of the model that Triton loaded last: by its start, because ids begin again."""
    members = session_members(triton.triton.pid)
    stubs = [pid for pid in members if "stub" in Path(f"/proc/{pid}/cmdline").read_text()]
    return max(stubs, key=lambda pid: start_time(pid) or 0)


def test_a_model_whose_process_died_under_triton_is_loaded_again(
    watched: TrainerLine, breakable: LocalStack
) -> None:
    live = watched.live()
    os.kill(newest_model_process(breakable), signal.SIGKILL)

    def answers() -> bool:
        try:
            probe(watched.product, live, watched.triton)
        except InferenceUnavailable:
            return False
        return True

    eventually(answers, 60, "loaded again")
    trainer = watched.work(watched.orders)
    assert trainer.said("live_version_does_not_answer")
