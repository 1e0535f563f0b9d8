"""The bench of robustness: what it stores, what it settles, and what it does not believe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from torch import Tensor
from typing_extensions import override

from bench.robustness.attacks import StagedAttack, unsettled_rows
from bench.robustness.collect import collect
from bench.robustness.matrix import broken
from bench.robustness.measure import measure
from bench.robustness.model import EvaluatedModel, digest_of
from bench.robustness.plan import AttackSettings
from bench.robustness.plots import draw, draw_curves
from bench.robustness.result_cache import ResultCache
from bench.robustness.splits import fixed_split
from bench.robustness.table import headline, markdown
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture import encode_png
from steadyline.prepare import prepare
from steadyline.service import EXIT_FAILED
from tests.support.parts import defective_parts, good_parts
from tests.support.torch_models import Darkest, Masked
from trainer.data.mvtec import TestSet
from trainer.detector_protocol import Served
from trainer.evaluation.attack_plan import AttackResult, AttackRuns, IndependentAttacks
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.evaluator import EvaluationSettings
from trainer.evaluation.localisation import localisation
from trainer.evaluation.subject import AttackTarget
from trainer.jobs.export import export

GRID = Grid.square(32)
SETTINGS = AttackSettings(first_steps=3, steps=6, restarts=1, attacked=8, checked=6)
COUNT = 10


def a_test_set() -> TestSet:
    good, (bad, masks) = good_parts(COUNT, 48, seed=5), defective_parts(COUNT, 48, seed=6)
    native = np.concatenate([good, bad])
    small = np.stack([prepare(mask.astype(np.uint8) * 255, GRID, "gray")[..., 0] > 64 for mask in masks])
    return TestSet(
        pictures=np.stack([prepare(picture, GRID, "gray") for picture in native]),
        kinds=("good",) * COUNT + ("scratch",) * COUNT,
        names=tuple(str(index) for index in range(2 * COUNT)),
        masks=np.concatenate([np.zeros_like(small), small]),
        located=np.ones(2 * COUNT, bool),
        native=tuple(native),
    )


def a_model(module: Served, test: TestSet) -> EvaluatedModel:
    graph = export(module, test.pictures[:4]).model
    facts = {"training_seconds": 0.0}
    return EvaluatedModel(module.eval(), graph, digest_of(module), Grid.square(32), "gray", 0.55, facts)


def results_in(folder: Path, report: Callable[[str, bool], None] = lambda name, is_new: None) -> ResultCache:
    return ResultCache(folder, "key", report)


def attacked(target: AttackTarget, epsilon: float, plan: StagedAttack, folder: Path) -> AttackResult:
    runs = AttackRuns(results_in(folder), lambda step, total, message: None, 1)
    return plan.run(target, epsilon, 0, runs)


def fails(measured: Evaluation) -> list[str]:
    return [row["check"] for row in measured.figures["sanity"] if not row["holds"]]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    folder, test = tmp_path_factory.mktemp("run"), a_test_set()
    return folder, measure(a_model(Darkest(), test), test, SETTINGS, results_in(folder), None)


def test_an_honest_model_is_measured_whole_and_believed(honest: tuple[Path, Evaluation]) -> None:
    figures = honest[1].figures
    assert fails(honest[1]) == []
    assert figures["attacked"]["4/255"]["auroc"] <= figures["attacked"]["2/255"]["auroc"] <= figures["clean"]
    assert figures["attacked_pictures"] == {"good": 8, "defective": 8}
    assert sorted(figures["corruptions"]["dust"]["3"]) == ["auroc", "false_alarms", "misses"]
    assert list(figures["curve"])[-1] == "64/255"
    assert figures["pixel"]["4/255"]["auroc"] < figures["pixel"]["unattacked"]["auroc"]
    assert figures["pixel"]["pictures"] == 12, "of the attack on the map: those of the checks"
    test = a_test_set()
    assert test.masks is not None
    whole = AttackTarget.of(Darkest(), test.pictures, test.anomalous)
    clean = localisation(whole.maps(whole.x), test.masks).rounded()
    assert figures["pixel"]["clean"] == clean, "of all pictures"


def test_the_bench_and_the_trainers_own_evaluation_give_the_same_figures(
    honest: tuple[Path, Evaluation],
) -> None:
    bench = honest[1].figures
    settings = EvaluationSettings(attack=IndependentAttacks((3,)), attacked=8, checked=0, at="native")
    trainer = evaluate(Darkest(), a_test_set(), settings, lambda step, total, message: None).figures
    assert trainer["attack"] == {"at": "native", **bench["attacked_pictures"]}
    assert trainer["image_auroc"]["clean"] == bench["clean"]
    assert trainer["image_auroc"]["noise"] == bench["noise"]
    first = {size: found["stages"]["PGD-3"] for size, found in bench["attacked"].items()}
    assert {size: found["3"] for size, found in trainer["image_auroc"]["pgd"].items()} == first
    assert {name: trainer["pixel"][name] for name in ("auroc", "aupro", "ap")} == bench["pixel"]["clean"]


def test_a_masked_model_is_caught_and_fails_the_report(tmp_path: Path) -> None:
    test = a_test_set()
    measured = measure(a_model(Masked(), test), test, SETTINGS, results_in(tmp_path), None)
    assert "every picture has a gradient or a proof" in fails(measured)
    problems = broken([{"data": "parts", "model": "masked", "seed": 0, **measured.figures}])
    assert any("every picture has a gradient or a proof" in problem for problem in problems)


def test_a_graph_that_answers_otherwise_than_its_twin_is_caught(tmp_path: Path) -> None:
    class Other(Darkest):
        @override
        def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
            score, anomaly_map = super().score_float(x)
            return 1.1 * score, anomaly_map

    test = a_test_set()
    swapped = EvaluatedModel(
        Darkest().eval(), export(Other(), test.pictures[:4]).model, "", Grid.square(32), "gray", 0.5, {}
    )
    measured = measure(swapped, test, SETTINGS, results_in(tmp_path), None)
    assert "the exported graph falls as its torch twin does" in fails(measured)


def test_a_run_goes_on_from_its_stored_results_and_makes_what_was_cut_short(
    honest: tuple[Path, Evaluation],
) -> None:
    folder, before = honest
    torn = folder / "PGD-6_start_1_4_255.json"
    torn.write_text(torn.read_text()[:20])
    made: list[str] = []
    test = a_test_set()
    results = results_in(folder, lambda name, is_new: made.append(name) if is_new else None)
    again = measure(a_model(Darkest(), test), test, SETTINGS, results, None)
    assert made == ["PGD-6 start 1 4/255"]
    timed = ("evaluation_cpu_seconds",)
    assert {k: v for k, v in again.figures.items() if k not in timed} == {
        k: v for k, v in before.figures.items() if k not in timed
    }


def test_results_of_another_model_are_not_taken(tmp_path: Path) -> None:
    assert results_in(tmp_path).value("clean", lambda: 1) == 1
    assert ResultCache(tmp_path, "other key", lambda name, is_new: None).value("clean", lambda: 2) == 2


def test_settled_pictures_are_those_whose_order_no_attack_can_change() -> None:
    anomalous = np.array([False, False, False, True, True, True])
    scores = np.array([0.1, 0.5, 0.95, 0.9, 0.3, 0.05], np.float32)
    # the normal at .95 is above every anomaly, the anomaly at .05 below every normal
    assert unsettled_rows(scores, anomalous).tolist() == [0, 1, 3, 4]


def test_leaving_settled_pictures_out_changes_no_figure(tmp_path: Path) -> None:
    test = a_test_set()
    subject = AttackTarget.of(Darkest(), test.pictures, test.anomalous)
    epsilon = 24 / 255
    found = attacked(subject, epsilon, StagedAttack(first_steps=3, steps=20, restarts=1), tmp_path)
    whole = subject.auroc(subject.scores(subject.attacked(Pgd(epsilon, 20, seed=1))))
    assert found.unsettled["PGD-3"] == 2 * COUNT
    assert found.auroc <= whole + 1e-4


def test_an_attack_that_leaves_nothing_ends_early_and_says_so(tmp_path: Path) -> None:
    test = a_test_set()
    subject = AttackTarget.of(Darkest(), test.pictures, test.anomalous)
    # one pair of a hundred in order is less than what is worth a long attack; all are out of it here
    found = attacked(subject, 200 / 255, StagedAttack(first_steps=10, steps=50, restarts=2), tmp_path)
    assert found.auroc < 0.005
    assert next(iter(found.stages)) == "PGD-10"
    assert not list(tmp_path.glob("PGD-50*"))


def test_a_data_set_that_changed_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    for kind in ("train/good", "test/good", "test/dark"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "a.png").write_bytes(encode_png(good_parts(1, seed=len(kind))[0, ..., 0]))
    split = tmp_path / "splits" / "parts.json"
    digest = fixed_split("parts", folder, split)
    assert fixed_split("parts", folder, split) == digest
    (folder / "test/dark/a.png").write_bytes(encode_png(good_parts(1, seed=99)[0, ..., 0]))
    with pytest.raises(InvalidConfiguration, match=r"test/dark/a\.png"):
        fixed_split("parts", folder, split)


def test_tables_show_means_and_spread_over_seeds_and_what_failed(honest: tuple[Path, Evaluation]) -> None:
    figures: dict[str, Any] = {"size": 32, "attack_at": "native", **honest[1].figures}
    rows = [
        {"data": "parts", "model": "darkest", "seed": 0, **figures},
        {"data": "parts", "model": "darkest", "seed": 1, **{**figures, "clean": figures["clean"] - 0.02}},
        {"data": "parts", "model": "broken", "seed": 0, "error": "too few normals"},
    ]
    head, lines = headline(rows)
    assert [len(line) for line in lines] == [len(head)] * 2
    assert "± 0.014" in lines[0][head.index("clean")]
    assert lines[0][head.index("attacked")] == "8 + 8 at native"
    page = markdown(rows, "python -m bench.robustness")
    assert "failed: too few normals" in page
    assert "Every check of the figures holds." in page
    json.dumps(rows)


def test_runs_of_several_folders_come_into_one_table(
    honest: tuple[Path, Evaluation], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {"size": 32, "attack_at": "native", **honest[1].figures, "sanity": []}
    for out, seed in (("first", 0), ("second", 1)):
        run = tmp_path / out / "cells" / "parts" / f"darkest-{seed}"
        run.mkdir(parents=True)
        row = {"data": "parts", "model": "darkest", "seed": seed, **whole}
        (run / "figures.json").write_text(json.dumps(row))

    collect([tmp_path / "second", tmp_path / "first"])
    assert "| parts | darkest | 0, 1 |" in capsys.readouterr().out

    failing = {**row, "sanity": [{"check": "it holds", "holds": False, "figure": {"share": 0.5}}]}
    (run / "figures.json").write_text(json.dumps(failing))
    with pytest.raises(typer.Exit) as end:
        collect([tmp_path / "second"])
    assert end.value.exit_code == EXIT_FAILED
    assert "not to be believed: parts darkest-1: it holds" in capsys.readouterr().err

    with pytest.raises(InvalidConfiguration, match="no figures"):
        collect([tmp_path / "third"])


def test_plots_are_drawn(honest: tuple[Path, Evaluation], tmp_path: Path) -> None:
    draw(tmp_path, honest[1], Darkest())
    draw_curves(tmp_path / "curves.png", [{"model": "darkest", **honest[1].figures}])
    assert all(path.stat().st_size > 5000 for path in tmp_path.glob("*.png"))
    assert len(list(tmp_path.glob("*.png"))) == 4
