"""``steadyline calibrate`` refuses what does not go together before it asks a broker."""

from pathlib import Path

import pytest

from steadyline.cli.app import main
from steadyline.cli.calibrate import product_of
from steadyline.errors import InvalidConfiguration
from steadyline.line import CameraSection, Line, Product
from steadyline.service import EXIT_USAGE

LINE = str(Path("docs/line.yaml"))


def a_line(*cameras: str) -> Line:
    sections = [CameraSection(id=camera, product="cell", source="folder:.") for camera in cameras]
    return Line(line="l", products={"cell": Product(), "other": Product()}, cameras=sections)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--last", "8", "--pictures", "shots"), "--last and --pictures: take one of the two"),
        (("--undo", "--dry-run"), "--undo goes without --last, --pictures and --dry-run"),
        (("--undo", "--last", "9"), "--undo goes without --last, --pictures and --dry-run"),
        (("--why", "w" * 501), "--why has 501 characters: 500 is the most"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "--camera", "c1", "--line", LINE, *options]) == EXIT_USAGE
    assert said in capsys.readouterr().err


def test_the_product_is_the_one_that_the_line_file_gives_the_camera() -> None:
    assert product_of(a_line("c1"), "c1", None) == "cell"
    assert product_of(a_line(), "c1", "cell") == "cell"
    for line, camera, product, said in (
        (a_line("c1"), "c2", None, "the line has no camera 'c2'; it has c1"),
        (a_line("c1"), "c1", "other", "no camera 'c1' of product 'other'"),
        (a_line(), "c1", None, "say with --product"),
        (a_line(), "c1", "none", "no camera 'c1' of product 'none'"),
    ):
        with pytest.raises(InvalidConfiguration, match=said):
            product_of(line, camera, product)
