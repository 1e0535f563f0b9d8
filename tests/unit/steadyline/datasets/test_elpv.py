"""ELPV becomes a folder that the trainer reads."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from steadyline.cli.dataset import app
from steadyline.datasets.elpv import import_elpv
from steadyline.errors import InvalidConfiguration

pytest.importorskip("elpv_dataset")


def pictures(folder: Path, place: str) -> list[Path]:
    return sorted((folder / place).glob("*.png"))


def test_an_import_lays_out_sure_labels_only(tmp_path: Path) -> None:
    found = import_elpv(tmp_path)
    assert (found.train_good, found.test_good, found.test_defective) == (410, 178, 313)
    assert len(pictures(tmp_path, "train/good")) == 410
    assert len(pictures(tmp_path, "test/good")) == 178
    assert len(pictures(tmp_path, "test/defective")) == 313


def test_a_second_import_completes_a_killed_one(tmp_path: Path) -> None:
    import_elpv(tmp_path)
    lost = pictures(tmp_path, "test/good")[0]
    lost.unlink()
    (lost.parent / f".{lost.name}.partial").write_bytes(b"half")
    import_elpv(tmp_path)
    assert lost.stat().st_size > 1000
    assert len(pictures(tmp_path, "test/good")) == 178


def test_a_folder_with_other_pictures_is_refused(tmp_path: Path) -> None:
    stranger = tmp_path / "train" / "good" / "bottle.png"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"x")
    with pytest.raises(InvalidConfiguration, match=r"bottle\.png does not belong"):
        import_elpv(tmp_path)


def test_the_verb_says_what_it_did_and_what_there_is(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["import", "elpv", "--out", str(tmp_path), "--cells", "poly", "--json"])
    assert '"train_good": 598' in run.output
    assert "non-commercial" in CliRunner().invoke(app, ["list", "--json"]).output
