"""What the images ship is known, may be shipped, and is what the page tells."""

from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typing_extensions import override

from tests.packaging.rules import ROOT
from tools import licences
from tools.images.digests import BadDigests, pinned, read_digests
from tools.images.services import IMAGES, REPLACED, lock_of
from tools.licences import Ingredient
from tools.packages import PACKAGES


@pytest.fixture(scope="module")
def images() -> Mapping[str, list[Ingredient]]:
    return licences.inventory()


def test_nothing_that_an_image_ships_is_under_the_gpl_or_of_unknown_licence(
    images: Mapping[str, list[Ingredient]],
) -> None:
    assert licences.problems(images) == []


def test_the_page_is_what_is_shipped(images: Mapping[str, list[Ingredient]]) -> None:
    made = licences.page(images)
    assert licences.PAGE.read_text(encoding="utf-8") == made, "`python -m tools.licences` writes it"


def test_the_published_wheel_of_pyav_would_be_refused() -> None:
    (av,) = licences.as_wheels()
    assert av.licence == "BSD-3-Clause"
    assert {problem.split()[0] for problem in av.problems} == {"libx264", "libx265"}


@pytest.mark.parametrize(
    ("licence", "is_refused"),
    [
        ("MIT", False),
        ("BSD-3-Clause AND MIT", False),
        ("LGPL-3.0-only", False),
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("MIT AND GPL-2.0-only", True),
        ("GPL-2.0-only OR MIT", False),
        ("GPL-2.0-or-later OR AGPL-3.0-only", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("CC-BY-NC-SA-4.0 AND Apache-2.0", True),
        ("unknown", True),
    ],
)
def test_a_licence_is_refused_when_no_choice_is_left(licence: str, is_refused: bool) -> None:
    assert licences.is_refused(licence) == is_refused


class WrittenDistribution(Distribution):
    """A distribution of which there is metadata alone."""

    def __init__(self, folder: Path, *rows: str) -> None:
        self._folder = folder
        (folder / "METADATA").write_text("\n".join(["Name: thing", "Version: 1", *rows, ""]))

    @override
    def read_text(self, filename: str) -> str | None:
        path = self._folder / filename
        return path.read_text() if path.exists() else None

    @override
    def locate_file(self, path: object) -> Path:
        return self._folder / str(path)


@pytest.mark.parametrize(
    ("rows", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0"], "MIT OR Apache-2.0"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (["License: a long text of a licence that", "        goes on"], "unknown"),
        (["Classifier: License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        (["License: UNKNOWN"], "unknown"),
        ([], "unknown"),
        (["License: GPL-3.0-or-later"], "GPL-3.0-or-later"),
    ],
)
def test_a_licence_is_read_from_wherever_the_metadata_tells_it(
    rows: list[str], licence: str, tmp_path: Path
) -> None:
    assert licences.licence_of(WrittenDistribution(tmp_path, *rows)) == licence


def test_a_library_of_the_gpl_inside_a_wheel_is_found(tmp_path: Path) -> None:
    made = WrittenDistribution(tmp_path, "License-Expression: MIT")
    (tmp_path / "RECORD").write_text("thing.libs/libx265-0a1b2c.so.216,,\nthing/x265.py,,\n")
    found = licences.ingredient(made)
    assert found.libraries == (("libx265", "GPL-2.0-or-later"),)
    assert found.problems == ["libx265 in thing 1: GPL-2.0-or-later"]


def test_every_package_has_an_image_and_torch_is_in_the_trainers_alone() -> None:
    assert set(IMAGES) == set(PACKAGES)
    with_torch = [image for image in IMAGES if "torch" in licences.locked_names(ROOT / lock_of(image))]
    assert with_torch == ["trainer"]


def test_what_an_image_replaces_is_in_its_lock() -> None:
    for image, names in REPLACED.items():
        assert set(names) <= set(licences.locked_names(ROOT / lock_of(image)))


def test_an_image_has_the_versions_that_are_tested() -> None:
    tested = pins("requirements/dev.lock")
    for image in IMAGES:
        assert pins(lock_of(image)).items() <= tested.items()


def pins(lock: str) -> dict[str, str]:
    """Return distribution → version of a lock."""
    rows = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    wanted = [Requirement(row.partition(" --hash")[0]) for row in rows if row and not row.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier) for one in wanted}


def test_every_image_of_others_is_named_by_a_digest() -> None:
    assert {"IMAGE_PYTHON", "IMAGE_TRITON"} <= read_digests().keys()


@pytest.mark.parametrize("row", ["IMAGE_X=python:3.11", "IMAGE_X=python@sha256:12", "X=1"])
def test_an_image_without_a_digest_is_refused(row: str, tmp_path: Path) -> None:
    (tmp_path / "digests.env").write_text(f"# Said.\n{row}\n")
    with pytest.raises(BadDigests, match="is not IMAGE_NAME=name:tag@sha256:digest"):
        read_digests(tmp_path / "digests.env")


def test_a_placeholder_is_refused_with_the_way_to_fill_it(tmp_path: Path) -> None:
    (tmp_path / "digests.env").write_text(f"IMAGE_X=python:3.11@sha256:{'0' * 64}\n")
    with pytest.raises(BadDigests, match=r"imagetools inspect python:3\.11"):
        pinned("IMAGE_X", tmp_path / "digests.env")
