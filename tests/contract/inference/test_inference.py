"""What every inference server holds, on the in-memory stand-in and on Triton; and what only Triton does."""

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from steadyline.contracts.model_event import EncodedProbe
from steadyline.errors import ContractBroken, InferenceUnavailable, InvalidConfiguration
from steadyline.inference import CERTIFIED_ROUNDING, Inference, ModelRef
from steadyline.parity import check_parity, peak_of, seen
from steadyline.picture import encode_jpeg
from steadyline.probe import probe
from steadyline.servers import Addresses
from steadyline.settings import TritonSettings
from steadyline.triton import TritonClient, parse_config
from tests.support.inference import MemoryInference
from tests.support.models import Contrast, a_defective_picture, a_plain_picture, publish_version

PICTURES = np.stack([a_plain_picture(32), a_defective_picture(32, cell=6)])[..., None]


class Server(Protocol):
    """An inference server whose versions a test decides."""

    @property
    def inference(self) -> Inference: ...

    def serve(self, name: str, version: int, model: Contrast) -> None: ...


class InMemory:
    """The stand-in of the unit tests."""

    def __init__(self) -> None:
        self.inference = MemoryInference()

    def serve(self, name: str, version: int, model: Contrast) -> None:
        self.inference.serve(name, version, model.answer)


class OnTriton:
    """The real server."""

    def __init__(self, addresses: Addresses) -> None:
        settings = {"url": addresses.triton_grpc, "admin_key": addresses.triton_admin_key}
        self.inference = TritonClient(TritonSettings.model_validate(settings))
        self.repository = Path(addresses.triton_repository)

    def serve(self, name: str, version: int, model: Contrast) -> None:
        publish_version(self.repository, name, version, model)
        self.inference.load(name)


@pytest.fixture(params=["memory", pytest.param("triton", marks=pytest.mark.servers)])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each of the two."""
    if request.param == "memory":
        yield InMemory()
        return
    real = OnTriton(request.getfixturevalue("addresses"))
    yield real
    real.inference.close()


@pytest.fixture
def real(addresses: Addresses) -> Iterator[OnTriton]:
    """Triton itself."""
    made = OnTriton(addresses)
    yield made
    made.inference.close()


@pytest.fixture
def name() -> str:
    """A product of this test alone."""
    return f"part-{uuid.uuid4().hex[:8]}"


def test_scores_and_maps_come_in_the_order_of_the_pictures(server: Server, name: str) -> None:
    model = Contrast(gain=2)
    server.serve(name, 1, model)
    found = server.inference.infer(ModelRef(name, 1), PICTURES).result(20)
    known = model.answer(PICTURES)
    assert (found.scores.shape, found.maps.shape) == ((2,), (2, 4, 4))
    assert {found.scores.dtype, found.maps.dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(found.scores, known.scores, atol=1e-5)
    np.testing.assert_allclose(found.maps, known.maps, atol=1e-5)
    assert known.scores[1] == pytest.approx(1.0, abs=1e-5)


def test_a_certified_score_comes_in_the_same_answer_where_it_is_asked_for(server: Server, name: str) -> None:
    model = Contrast(is_certified=True)
    server.serve(name, 1, model)
    found = server.inference.infer(ModelRef(name, 1, is_certified=True), PICTURES).result(20)
    known = model.answer(PICTURES)
    assert found.certified_scores is not None
    assert known.certified_scores is not None
    assert (found.certified_scores.shape, found.certified_scores.dtype) == ((2,), np.dtype(np.float32))
    np.testing.assert_allclose(found.certified_scores, known.certified_scores, atol=CERTIFIED_ROUNDING)
    assert server.inference.infer(ModelRef(name, 1), PICTURES).result(20).certified_scores is None
    probe(name, model.event_model(1), server.inference)


def test_the_scores_of_both_halves_come_in_the_same_answer_where_they_are_asked_for(
    server: Server, name: str
) -> None:
    model = Contrast(has_halves=True)
    server.serve(name, 1, model)
    said = model.event_model(1)
    found = server.inference.infer(ModelRef.of(name, said), PICTURES).result(20)
    assert found.halves is not None
    assert (found.halves.shape, found.halves.dtype) == ((2, 2), np.dtype(np.float32))
    np.testing.assert_allclose(found.halves[:, 0], found.scores)
    np.testing.assert_allclose(found.halves[:, 1], found.scores / 2)
    assert server.inference.infer(ModelRef(name, 1), PICTURES).result(20).halves is None
    probe(name, said, server.inference)


def test_requests_under_way_together_get_their_own_answers(server: Server, name: str) -> None:
    server.serve(name, 1, Contrast())
    futures = [
        server.inference.infer(ModelRef(name, 1), a_defective_picture(32, cell)[None, ..., None])
        for cell in range(16)
    ]
    assert [int(future.result(20).maps.argmax()) for future in futures] == list(range(16))


def test_two_versions_answer_beside_one_another(server: Server, name: str) -> None:
    server.serve(name, 1, Contrast(gain=1))
    server.serve(name, 2, Contrast(gain=4))
    ask = [server.inference.infer(ModelRef(name, version), PICTURES) for version in (1, 2)]
    assert [float(future.result(20).scores[1]) for future in ask] == pytest.approx([0.5, 2.0], abs=1e-4)


def test_a_version_that_is_not_served_is_unavailable(server: Server, name: str) -> None:
    server.serve(name, 1, Contrast())
    with pytest.raises(InferenceUnavailable):
        server.inference.infer(ModelRef(name, 9), PICTURES).result(20)
    with pytest.raises(InferenceUnavailable):
        server.inference.infer(ModelRef(f"{name}-unknown", 1), PICTURES).result(20)


def test_a_camera_frame_has_the_score_and_the_peak_of_the_training_or_is_refused(
    server: Server, name: str
) -> None:
    server.serve(name, 1, Contrast())
    model, frame = Contrast().event_model(1), encode_jpeg(a_defective_picture(48, cell=6))
    known = Contrast().answer(seen(frame, model)[None])
    x, y = peak_of(known.maps[0])
    right = EncodedProbe(
        encoding="jpeg",
        frame=base64.b64encode(frame).decode(),
        score=float(known.scores[0]),
        tolerance=1e-4,
        x=x,
        y=y,
    )
    check_parity(name, model.model_copy(update={"encoded_probes": [right]}), server.inference)
    for wrong, match in (({"score": right.score + 1e-3}, "gives"), ({"x": 1 - x - 0.01}, "highest at")):
        probes = [right.model_copy(update=wrong)]
        with pytest.raises(ContractBroken, match=match):
            check_parity(name, model.model_copy(update={"encoded_probes": probes}), server.inference)


def test_a_probe_accepts_the_known_answers_and_no_others(server: Server, name: str) -> None:
    server.serve(name, 1, Contrast(gain=1))
    probe(name, Contrast(gain=1).event_model(1), server.inference)
    with pytest.raises(ContractBroken, match="probe 1"):
        probe(name, Contrast(gain=1.01).event_model(1), server.inference)


@pytest.mark.servers
def test_the_third_version_takes_the_first_out_of_service(real: OnTriton, name: str) -> None:
    for version in (1, 2, 3):
        real.serve(name, version, Contrast(gain=version))
    served = {entry.version: entry.state for entry in real.inference.index() if entry.name == name}
    assert [version for version, state in sorted(served.items()) if state == "READY"] == [2, 3]
    assert [real.inference.is_ready(ModelRef(name, version)) for version in (1, 2, 3)] == [False, True, True]
    with pytest.raises(InferenceUnavailable, match="version 1"):
        real.inference.infer(ModelRef(name, 1), PICTURES).result(20)


@pytest.mark.servers
def test_pictures_of_another_size_break_the_contract_clearly(real: OnTriton, name: str) -> None:
    real.serve(name, 1, Contrast())
    with pytest.raises(ContractBroken, match="unexpected shape"):
        real.inference.infer(ModelRef(name, 1), np.zeros((1, 16, 16, 1), np.uint8)).result(20)
    assert len(real.inference.infer(ModelRef(name, 1), PICTURES).result(20).scores) == 2


@pytest.mark.servers
def test_a_model_whose_outputs_break_the_contract_is_found_out(real: OnTriton, name: str) -> None:
    publish_version(real.repository, name, 1, Contrast())
    config = real.repository / name / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "score"', 'name: "other"'))
    real.inference.load(name)
    with pytest.raises(ContractBroken, match="score"):
        real.inference.infer(ModelRef(name, 1), PICTURES).result(20)


@pytest.mark.servers
def test_a_broken_version_is_refused_with_a_reason_and_the_old_one_goes_on(real: OnTriton, name: str) -> None:
    real.serve(name, 1, Contrast())
    publish_version(real.repository, name, 2, Contrast())
    (real.repository / name / "2" / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InferenceUnavailable, match=name):
        real.inference.load(name)
    assert len(real.inference.infer(ModelRef(name, 1), PICTURES).result(20).scores) == 2


@pytest.mark.servers
def test_without_the_admin_key_nothing_is_loaded(real: OnTriton, name: str, addresses: Addresses) -> None:
    publish_version(real.repository, name, 1, Contrast())
    stranger = TritonClient(TritonSettings(url=addresses.triton_grpc))
    for call in (lambda: stranger.load(name), stranger.index, lambda: stranger.unload(name)):
        with pytest.raises(InferenceUnavailable):
            call()
    assert not stranger.is_ready(ModelRef(name, 1))
    stranger.close()


def test_a_server_that_is_not_there_is_unavailable_within_the_deadline() -> None:
    client = TritonClient(TritonSettings(url="127.0.0.1:9", timeout_seconds=1))
    assert not client.is_server_ready()
    with pytest.raises(InferenceUnavailable, match=r"127\.0\.0\.1:9"):
        client.infer(ModelRef("part", 1), PICTURES).result(5)
    client.close()
    with pytest.raises(InferenceUnavailable):
        client.infer(ModelRef("part", 1), PICTURES).result(5)


def test_a_configuration_is_held_to_tritons_own_schema() -> None:
    parsed = parse_config(Contrast(size=64).config("part").decode())
    assert (parsed.name, parsed.max_batch_size, list(parsed.input[0].dims)) == ("part", 32, [64, 64, 1])
    with pytest.raises(InvalidConfiguration, match="no_such_field"):
        parse_config('name: "part" no_such_field: 1')
