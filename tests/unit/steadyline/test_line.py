"""The line file picks the detectors of a product, and a wrong name is refused where it stands."""

from pathlib import Path

import pytest
import yaml

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.line import DEFAULT_DETECTOR, PictureSection, Product, load_line

KNOWN = ("cobra", "robust", "daf")


def a_line(folder: Path, detectors: str) -> Path:
    """Write a line file whose product says ``detectors`` on line 5."""
    file = folder / "line.yaml"
    file.write_text(
        f"line: cells\nproducts:\n  cell:\n    picture: {{size: 64}}\n    {detectors}\n", encoding="utf-8"
    )
    return file


def test_each_product_picks_its_detector(tmp_path: Path) -> None:
    line = load_line(a_line(tmp_path, "detector: robust"), KNOWN)
    assert line.products["cell"].detectors == "robust"
    assert Product().detectors == DEFAULT_DETECTOR


def test_a_product_may_take_its_map_from_another_detector(tmp_path: Path) -> None:
    both = load_line(a_line(tmp_path, "detector: robust\n    map_detector: daf"), KNOWN).products["cell"]
    assert both.detectors == "robust+daf"
    assert Product(detector="daf", map_detector="daf").detectors == "daf"


def test_a_product_may_have_a_certified_companion_unless_it_is_certified_anyway(tmp_path: Path) -> None:
    with_one = a_line(tmp_path, "detector: robust\n    map_detector: daf\n    companion: certified")
    assert load_line(with_one, KNOWN).products["cell"].detectors == "robust+daf&certified"
    assert Product(detector="robust", companion="certified").detectors == "robust&certified"
    assert Product(detector="certified", companion="certified").detectors == "certified"
    mapped = Product(detector="robust", map_detector="certified", companion="certified")
    assert mapped.detectors == "robust+certified"
    with pytest.raises(InvalidConfiguration, match=r":5: products.cell.companion: .*'certified'"):
        load_line(a_line(tmp_path, "companion: daf"), KNOWN)


@pytest.mark.parametrize("field", ["detector", "map_detector"])
def test_an_unknown_detector_is_refused_with_its_line_and_the_known_names(tmp_path: Path, field: str) -> None:
    file = a_line(tmp_path, f"{field}: viper")
    with pytest.raises(InvalidConfiguration) as refused:
        load_line(file, KNOWN)
    wanted = f"{file}:5: products.cell.{field}: there is no detector 'viper'; there are cobra, daf, robust"
    assert str(refused.value) == wanted


def test_a_service_without_detectors_takes_any_name(tmp_path: Path) -> None:
    assert load_line(a_line(tmp_path, "detector: viper")).products["cell"].detector == "viper"


def test_a_relative_folder_of_normals_is_taken_from_the_line_file(tmp_path: Path) -> None:
    for written, meant in (("normals/cell", tmp_path / "normals/cell"), ("/srv/cell", Path("/srv/cell"))):
        line = load_line(a_line(tmp_path, f"normals: {written}"))
        assert line.products["cell"].normals == str(meant)
    assert load_line(a_line(tmp_path, "profile: cpu")).products["cell"].normals is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("line: Line 1\nproducts: {cell: {}}\n", ":1: line: a name has a-z, 0-9"),
        ("line: t\nproducts: {Cell: {}}\n", ":2: products.Cell.[key]: a name has a-z, 0-9"),
        (
            "line: t\nstore: ./var/store\nproducts: {cell: {}}\n",
            ":2: store: must be an address, file://./var",
        ),
    ],
)
def test_what_a_name_or_an_address_looks_like_is_said_in_words(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "line.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfiguration) as refused:
        load_line(file)
    assert str(refused.value).startswith(f"{file}{said}")


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        ("min_insync_replicas: 2", ":2: topics: min_insync_replicas is set and replication_factor is not"),
        (
            "replication_factor: 2, min_insync_replicas: 3",
            ":2: topics: min_insync_replicas is 3, but a partition has 2 replicas",
        ),
        ("replication_factor: 0", ":2: topics.replication_factor: "),
    ],
)
def test_replicas_that_could_never_be_are_refused(tmp_path: Path, topics: str, said: str) -> None:
    file = tmp_path / "line.yaml"
    file.write_text(f"line: t\ntopics: {{{topics}}}\nproducts: {{cell: {{}}}}\n")
    with pytest.raises(InvalidConfiguration) as refused:
        load_line(file)
    assert said in str(refused.value)


def test_replicas_go_to_every_topic_of_the_line_and_by_default_the_broker_decides(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    file.write_text(
        "line: t\ntopics: {replication_factor: 3, min_insync_replicas: 2}\nproducts: {cell: {}}\n"
    )
    for topic in load_line(file).kafka_topics():
        assert topic.replication.factor == 3
        assert topic.config["min.insync.replicas"] == "2"
        assert topic.config["unclean.leader.election.enable"] == "false"
    file.write_text("line: t\nproducts: {cell: {}}\n")
    for topic in load_line(file).kafka_topics():
        assert topic.replication.factor is None
        assert not {"min.insync.replicas", "unclean.leader.election.enable"} & topic.config.keys()


@pytest.mark.parametrize(
    ("written", "grid"),
    [
        ("", Grid(64, 64)),
        ("size: 96", Grid(96, 96)),
        ("grid: 512x208", Grid(512, 208)),
        ("grid: [48, 64]", Grid(48, 64)),
    ],
)
def test_a_picture_has_a_grid_and_a_size_is_the_short_form_of_a_square(written: str, grid: Grid) -> None:
    section = PictureSection.model_validate(yaml.safe_load(f"{{{written}}}"))
    assert section.grid == grid
    assert PictureSection.model_validate(section.model_dump()) == section


@pytest.mark.parametrize(
    ("written", "refusal"),
    [
        ("size: 64, grid: 64x32", "keep one"),
        ("size: 4000", "less than or equal to 2048"),
        ("grid: 8x64", "is not within 16 to 4096"),
        ("grid: 4096x4096", "are the most"),
        ("grid: big", "HEIGHTxWIDTH"),
    ],
)
def test_a_picture_of_no_grid_is_refused_with_its_line(tmp_path: Path, written: str, refusal: str) -> None:
    file = tmp_path / "line.yaml"
    file.write_text(f"line: cells\nproducts:\n  cell:\n    picture: {{{written}}}\n", encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match=rf":4: products.cell.picture.*{refusal}"):
        load_line(file)
