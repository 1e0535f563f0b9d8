"""The causes of alerts about models and their training, made for real."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import onnx
import psutil
import redis
from onnx import TensorProto, helper

from bench.line.direct import triton_client
from bench.watching.cause import Cause, named
from bench.watching.line import LINE, PRODUCT, SCORERS, TRAINED_WITHIN, ObservedLine
from steadyline.kafka.broker import Message
from steadyline.package import MODEL
from steadyline.signing import PUBLIC, write_pair
from steadyline.triton import TritonClient

CHILD_WITHIN, LOADED_WITHIN = 60.0, timedelta(seconds=60)
REFUSED = 'sum(trainer_gate_decisions_total{word="daily_limit"}) > 0'
SCORE = "score"  # the output of every graph


@contextmanager
def _foreign_event(line: ObservedLine) -> Iterator[None]:
    with closing(line.broker.publisher("stranger")) as publisher:
        topic = line.topics.model_events.name
        publisher.publish(Message(topic, PRODUCT.encode(), b"no event", ()), lambda error: None)
        publisher.flush(timedelta(seconds=30))
    yield


@contextmanager
def _trainer_killed(line: ObservedLine) -> Iterator[None]:
    line.kill("trainer")
    try:
        yield
    finally:
        line.start("trainer")


def _other_keys(line: ObservedLine) -> dict[str, str]:
    """Return the setting with which a scorer believes another trainer's signature alone."""
    keys = line.home / "other-keys"
    if not keys.exists():
        write_pair(keys)
    return {"STEADYLINE_TRUSTED_KEYS_FILE": str(keys / PUBLIC)}


@contextmanager
def _one_disbelieves(line: ObservedLine) -> Iterator[None]:
    line.start("scorer-c", **_other_keys(line))
    try:
        yield
    finally:
        line.remove("scorer-c")


@contextmanager
def _nobody_believes(line: ObservedLine) -> Iterator[None]:
    with ExitStack() as again:
        for name in SCORERS:
            line.restart(name, **_other_keys(line))
            again.callback(line.restart, name)
        yield


@contextmanager
def _emptied_bank(line: ObservedLine) -> Iterator[None]:
    with closing(redis.Redis.from_url(line.stack.addresses.redis_url)) as client:
        client.flushall()
    yield


@contextmanager
def _killed_training(line: ObservedLine) -> Iterator[None]:
    """Order a training, and kill the process that does it; the trainer then begins it again."""
    line.command("models", "retrain", PRODUCT, "--why", "to be killed")
    trainer = psutil.Process(line.services["trainer"].pid)
    line.prometheus.wait(lambda: bool(trainer.children()), CHILD_WITHIN, "a training has begun")
    for child in trainer.children():
        os.kill(child.pid, signal.SIGKILL)
    yield


@contextmanager
def _second_training_of_the_day(line: ObservedLine) -> Iterator[None]:
    """Train again, where one version a day may go live by itself."""
    line.command("models", "retrain", PRODUCT, "--why", "to be refused")
    yield


@contextmanager
def _changed_package(line: ObservedLine) -> Iterator[None]:
    """Change a byte of the newest package, which the gate has refused, and order that it goes live."""
    folder = line.store / "models" / LINE / PRODUCT
    line.until(REFUSED, TRAINED_WITHIN)
    newest = max(int(path.parent.name) for path in folder.glob(f"*/{MODEL}"))
    file = folder / str(newest) / MODEL
    kept = file.read_bytes()
    file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 0xFF]))
    try:
        line.command("models", "promote", PRODUCT, file.parent.name, "--why", "to fail")
        yield
    finally:
        file.write_bytes(kept)


@contextmanager
def _model_that_sees_nothing(line: ObservedLine) -> Iterator[None]:
    """Put a graph that gives every picture the score 0 in the place of the one that Triton serves."""
    folder = Path(line.stack.addresses.triton_repository) / PRODUCT
    served = max(folder.glob("*/model.onnx"), key=lambda path: int(path.parent.name))
    kept = served.read_bytes()
    with closing(triton_client(line.stack.addresses)) as triton:
        try:
            _serve(triton, served, _blinded(kept))
            yield
        finally:
            _serve(triton, served, kept)


def _serve(triton: TritonClient, file: Path, graph: bytes) -> None:
    file.write_bytes(graph)
    triton.load(PRODUCT, LOADED_WITHIN)


def _blinded(file: bytes) -> bytes:
    """Return the graph with its score multiplied by 0."""
    model = onnx.load_from_string(file)
    graph = model.graph
    for node in graph.node:
        for number, output in enumerate(node.output):
            if output == SCORE:
                node.output[number] = "seen"
        for number, given in enumerate(node.input):
            if given == SCORE:
                node.input[number] = "seen"
    graph.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [1], [0.0]))
    graph.node.append(helper.make_node("Mul", ["seen", "nothing"], [SCORE]))
    return bytes(model.SerializeToString())


MODEL_CAUSES = (
    Cause(
        "a record of a stranger under the product's key",
        _foreign_event,
        named("ForeignModelEvents"),
    ),
    Cause("kill -9 of the trainer", _trainer_killed, named("ProcessDown")),
    Cause("a scorer with another trusted key", _one_disbelieves, named("ModelMixed")),
    Cause(
        "both scorers are started with another trusted key",
        _nobody_believes,
        named("ModelMissing", "ModelBehind"),
    ),
    Cause("Redis is emptied", _emptied_bank, named("BankRebuilt")),
    Cause(
        "a graph that sees nothing is put in the place of the served one",
        _model_that_sees_nothing,
        named("ModelBlind"),
    ),
    Cause(
        "a second training where one version a day may go live",
        _second_training_of_the_day,
        named("ModelRefused"),
        within=TRAINED_WITHIN,
    ),
    Cause(
        "a byte of a package is changed, and the package put in service by command",
        _changed_package,
        named("PromotionFailed"),
    ),
    Cause("kill -9 of a training", _killed_training, named("TrainingFailed")),
)
