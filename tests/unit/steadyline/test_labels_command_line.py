"""``steadyline labels list`` shows what the trainer keeps, and says when it cannot be believed."""

import json
from pathlib import Path

import pytest

from steadyline.cli.app import main
from steadyline.contracts.kept_labels import KeptLabel, KeptLabels, index_key
from steadyline.service import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from steadyline.store import Store
from tests.support.labels import SAID

ROWS = [
    KeptLabel(
        frame="c1/7/1", camera="c1", label="defect", who="ann", at=SAID, model_version=3,
        picture="labels/line-1/cell/pictures/0.png", picture_sha256="0",
    ),
    KeptLabel(frame="c1/7/2", camera="c1", label="good", who="ben", at=SAID, without="unknown"),
]  # fmt: skip


@pytest.fixture
def line(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    path.write_text("line: line-1\nstore: file://./store\nproducts: {cell: {}, tile: {}}\n")
    store = Store(f"file://{tmp_path}/store")
    store.put(index_key("line-1", "cell"), KeptLabels(labels=ROWS).pack("line-1", "cell"))
    return path


def test_every_label_is_shown_with_its_picture_or_why_there_is_none(
    line: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["labels", "list", "--line", str(line)]) == EXIT_OK
    shown = capsys.readouterr().out
    assert "labels/line-1/cell/pictures/0.png" in shown
    assert "no picture was kept" in shown
    assert "cell: 1 known defects, 1 judged normals, 1 without a picture" in shown
    assert "tile: 0 known defects, 0 judged normals, 0 without a picture" in shown


def test_machines_get_the_same_and_may_ask_for_one_label_of_one_product(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["labels", "list", "--line", str(line), "--json", "--product", "cell", "--label", "defect"]
    assert main(asked) == EXIT_OK
    found = json.loads(capsys.readouterr().out)["products"]["cell"]
    assert (found["defects"], found["goods"], found["without_picture"]) == (1, 1, 1)
    assert [row["frame"] for row in found["labels"]] == ["c1/7/1"]


def test_a_list_that_cannot_be_read_is_said_and_fails(
    line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(f"file://{tmp_path}/store").put(index_key("line-1", "tile"), b"\n{")
    assert main(["labels", "list", "--line", str(line)]) == EXIT_FAILED
    assert "tile: 0 known defects" in capsys.readouterr().out


def test_a_product_that_the_line_does_not_have_is_refused(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["labels", "list", "--line", str(line), "--product", "no"]) == EXIT_USAGE
    assert "the line has no product 'no'" in capsys.readouterr().err
