"""Which detectors a line trains, as a person says it: a wrong name ends the start and is named."""

from pathlib import Path

from steadyline.service import EXIT_USAGE
from tests.support.trainer_command import trainer


def test_a_line_with_an_unknown_detector_does_not_start_and_says_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    file.write_text("line: x\nproducts:\n  cell:\n    detector: robust\n    map_detector: viper\n")
    done = trainer("run", "--line", str(file))
    assert done.returncode == EXIT_USAGE
    assert f"{file}:5: products.cell.map_detector: there is no detector 'viper'; there are " in done.stderr
    assert "certified, cobra" in done.stderr
