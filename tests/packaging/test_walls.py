"""The walls between the rooms stand, and a planted import breaks each of them."""

import pytest

from tests.packaging.rules import Source, sources
from tests.packaging.walls import (
    module_of,
    reach_torch,
    service_reaches_up,
    upward_imports,
    without_a_layer,
)


@pytest.fixture(scope="module")
def every_source() -> list[Source]:
    return sources()


@pytest.fixture(scope="module")
def known(every_source: list[Source]) -> frozenset[str]:
    return frozenset(module_of(source.name) for source in every_source)


def test_every_file_stands_in_a_room_of_the_table(every_source: list[Source]) -> None:
    assert without_a_layer(every_source) == []


def test_a_file_outside_of_every_room_is_found() -> None:
    assert without_a_layer([Source.parse("trainer/helpers.py", "")]) == ["trainer/helpers.py"]


def test_no_import_runs_upward(every_source: list[Source], known: frozenset[str]) -> None:
    assert [problem for source in every_source for problem in upward_imports(source, known)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trainer/data/normals.py", "from trainer.jobs.spec import JobSpec"),
        ("trainer/jobs/spec.py", "from trainer.jobs.build import make_package"),
        ("trainer/lifecycle/gate.py", "def f():\n    from trainer.control import controller"),
        ("trainer/learning/state.py", "import trainer.detectors.registry"),
        ("producers/sources/folder.py", "from producers.delivery.buffer import Buffer"),
        ("alerts/database/ingest.py", "from alerts.intake.loop import IntakeLoop"),
        ("alerts/intake/loop.py", "from alerts.app import build"),
        ("scorer/scoring.py", "from scorer.handler import Scoring"),
        ("steadyline/kafka/loop/stream_loop.py", "from steadyline.ops.labels import kept_labels"),
        ("steadyline/bank/redis.py", "from steadyline.servers import LocalStack"),
        ("steadyline/ops/audit/report.py", "from steadyline.cli.since import since"),
    ],
)
def test_a_planted_import_that_runs_upward_is_found(name: str, text: str, known: frozenset[str]) -> None:
    assert upward_imports(Source.parse(name, text), known)


def test_services_stand_on_the_lower_rooms_of_the_core(
    every_source: list[Source], known: frozenset[str]
) -> None:
    assert [problem for source in every_source for problem in service_reaches_up(source, known)] == []


@pytest.mark.parametrize("room", ["ops.labels", "cli.app", "demo.run", "servers.stack"])
def test_a_service_that_reaches_for_what_stands_above_is_found(room: str, known: frozenset[str]) -> None:
    planted = Source.parse("producers/camera.py", f"import steadyline.{room}")
    assert service_reaches_up(planted, known)


def test_control_monitor_lifecycle_data_and_the_order_reach_no_torch(every_source: list[Source]) -> None:
    assert reach_torch(every_source) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trainer/control/controller.py", "import torch"),
        ("trainer/monitor/monitor.py", "def f():\n    import torch"),
        ("trainer/lifecycle/gate.py", "from trainer.fit import train"),
        ("trainer/lifecycle/gate.py", "from trainer.evaluation.localisation import aupro"),  # scipy alone
        ("trainer/monitor/detection.py", "from sklearn.metrics import roc_auc_score"),
        ("trainer/data/banks.py", "from trainer.jobs.export import OnnxModel"),
        ("trainer/jobs/spec.py", "from onnxruntime import InferenceSession"),
        ("steadyline/store.py", "import torch"),
    ],
)
def test_a_planted_way_to_torch_is_found(name: str, text: str, every_source: list[Source]) -> None:
    others = [source for source in every_source if source.name != name]
    assert reach_torch([*others, Source.parse(name, text)])
