"""``fit`` and ``evaluate`` on a folder, as a person runs them: no server, clear errors, honest exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from steadyline.service import EXIT_FAILED, EXIT_FATAL, EXIT_OK, EXIT_USAGE
from tests.support.parts import a_set_of_parts
from tests.support.trainer_command import trainer

SIZE = 32


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set_of_parts(tmp_path_factory.mktemp("parts"), SIZE)


@pytest.fixture(scope="module")
def package(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("package") / "model"
    done = trainer(
        "fit",
        "--data",
        str(data),
        "--out",
        str(out),
        "--detector",
        "robust",
        "--steps",
        "4",
        "--size",
        str(SIZE),
        "--product",
        "plate",
    )
    assert done.returncode == EXIT_OK, done.stderr
    assert "export_score_difference" in done.stdout
    assert str(out) in done.stdout
    return out


def test_a_package_is_evaluated_with_every_figure_that_was_promised(
    data: Path, package: Path, tmp_path: Path
) -> None:
    files = {path.name for path in package.iterdir()}
    assert files == {"model.onnx", "card.json", "weights.safetensors", "provenance.json", "SHA256SUMS"}
    page = tmp_path / "reports" / "report.html"
    done = trainer(
        "evaluate", "--data", str(data), "--model", str(package), "--json", "--report", str(page),
        "--pgd-steps", "3", "--pgd-steps", "6",
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(done.stdout)
    assert sorted(figures) == ["attack", "forward_ms", "image_auroc", "kinds", "pixel", "sanity", "seconds"]
    assert all(own["pictures"] and own["aupro"] for own in figures["kinds"].values())
    assert {size: sorted(found) for size, found in figures["image_auroc"]["pgd"].items()} == {
        "2/255": ["3", "6"],
        "4/255": ["3", "6"],
    }
    broken = [row["check"] for row in figures["sanity"] if not row["holds"]]
    assert done.returncode == (EXIT_FAILED if broken else EXIT_OK), broken
    text = page.read_text(encoding="utf-8")
    assert "plate, version 1" in text
    assert "12 good and 12 defective" in text


def test_the_figures_are_shown_as_a_table_without_json(data: Path, package: Path) -> None:
    done = trainer("evaluate", "--data", str(data), "--model", str(package), "--quick", "--pgd-steps", "2")
    assert done.returncode == EXIT_OK, done.stderr
    assert "PGD-2 4/255" in done.stdout
    assert "kind of defect" in done.stdout
    assert "holds" in done.stdout


def test_a_package_that_was_tampered_with_is_refused(data: Path, package: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in package.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    weights = bytearray((other / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "weights.safetensors").write_bytes(weights)
    done = trainer("evaluate", "--data", str(data), "--model", str(other), "--quick")
    assert done.returncode == EXIT_FATAL
    assert "does not match its digest" in done.stderr


def test_a_wrong_option_is_named(data: Path, tmp_path: Path) -> None:
    done = trainer("fit", "--data", str(data), "--out", str(tmp_path / "out"), "--detector", "nonesuch")
    assert done.returncode == EXIT_USAGE
    assert "there is no detector 'nonesuch'" in done.stderr


def test_a_folder_of_another_layout_is_explained(tmp_path: Path) -> None:
    done = trainer("fit", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == EXIT_USAGE
    assert "train/good" in done.stderr
