"""A plan's known defects from the store of a line: which are taken, and what is said where none can be."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from steadyline.contracts.feedback import FrameLabel
from steadyline.contracts.kept_labels import KeptLabel, index_key, picture_key
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.picture import encode_png
from steadyline.signing import NO_KEYS, Signer, TrustedKeys
from steadyline.store import Store
from tests.support.labels import SAID
from trainer.data.label_shelf import LabelShelf
from trainer.planner.line_labels import FOLDER, MOST_TAKEN, LabelsOf, labelled_defects
from trainer.planner.plan import defect_hint


def a_picture(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (24, 32), np.uint8))


class LabelStore:
    """A line with a store in a folder, its labels, and a folder of good parts."""

    def __init__(self, root: Path) -> None:
        self.root, self.good, self.out = root, root / "good", root / "plan"
        self.good.mkdir()
        (self.good / "1.png").write_bytes(a_picture(1000))
        self.line = Line.model_validate(
            {"line": "l", "store": f"file://{root}/store", "products": {"cell": {}}}
        )
        self.store = Store(self.line.store)
        self.rows: list[KeptLabel] = []

    def label(self, number: int, label: FrameLabel = "defect", data: bytes | None = None) -> str:
        """Keep a label with its picture; returns the picture's key."""
        kept = a_picture(number) if data is None else data
        key = picture_key("l", "cell", sha256(kept), "png")
        self.store.put(key, kept)
        row = {"picture": key, "picture_sha256": sha256(kept), "at": SAID + timedelta(seconds=number)}
        self.rows.append(self._row(number, label).model_copy(update=row))
        self.keep()
        return key

    def label_without_picture(self, number: int) -> None:
        self.rows.append(self._row(number, "defect").model_copy(update={"without": "gone"}))
        self.keep()

    def keep(self, signer: Signer | None = None) -> None:
        LabelShelf(self.store, EventSeal("l", NO_KEYS, signer), "cell", 1 << 20).write(self.rows)

    def taken(self, product: str = "cell", trusted: TrustedKeys = NO_KEYS) -> list[bytes]:
        """Return the pictures that a plan would judge by."""
        paths = labelled_defects(LabelsOf(self.line, product, trusted), self.good, self.out)
        hint = defect_hint(None, None, None, None, paths)
        assert {path.parent for path in hint.pictures} == {self.out / FOLDER}
        return [path.read_bytes() for path in hint.pictures]

    def _row(self, number: int, label: FrameLabel) -> KeptLabel:
        said = {"frame": f"c1/7/{number}", "camera": "c1", "label": label, "who": "ann", "at": SAID}
        return KeptLabel.model_validate(said)


@pytest.fixture
def labels(tmp_path: Path) -> LabelStore:
    return LabelStore(tmp_path)


def test_the_defects_are_taken_as_the_cameras_took_them_and_the_good_frames_are_not(
    labels: LabelStore,
) -> None:
    labels.label(1)
    labels.label(2, "good")
    labels.label(3)
    assert labels.taken() == [a_picture(1), a_picture(3)]
    assert labels.taken() == [a_picture(1), a_picture(3)], "a plan that goes on reads them again"


def test_of_many_the_newest_are_taken(labels: LabelStore) -> None:
    for number in range(MOST_TAKEN + 2):
        labels.label(number)
    assert labels.taken() == [a_picture(number) for number in range(2, MOST_TAKEN + 2)]


def test_what_is_gone_altered_or_no_picture_is_passed_over(labels: LabelStore) -> None:
    labels.label(1)
    labels.store.delete(labels.label(2))
    labels.store.put(labels.label(3), a_picture(4))
    labels.label(5, data=b"\x89PNG no more")
    labels.label_without_picture(6)
    assert labels.taken() == [a_picture(1)]


def test_a_row_that_names_another_place_is_not_followed(labels: LabelStore, tmp_path: Path) -> None:
    labels.label(1)
    labels.store.put("evidence/other.png", a_picture(2))
    for key, digest in (("evidence/other.png", sha256(a_picture(2))), ("../x", "../../x")):
        stray = labels.rows[0].model_copy(update={"frame": f"c1/8/{key[0]}"})
        labels.rows.append(stray.model_copy(update={"picture": key, "picture_sha256": digest}))
    labels.keep()
    assert labels.taken() == [a_picture(1)]


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        ((), "has 0 frames of cell labelled as defects, and 0 as good: label defects through the API"),
        (("good",), "has 0 frames of cell labelled as defects, and 1 as good"),
        (
            ("without",),
            r"has 1 frames of cell labelled as defects, and no picture of any can be read \(1 gone\)",
        ),
        (("lost",), r"no picture of any can be read \(1 unreadable\)"),
    ],
)
def test_a_store_without_a_defect_to_judge_by_is_an_error_that_says_what_it_has(
    labels: LabelStore, labelled: tuple[str, ...], said: str
) -> None:
    for one in labelled:
        if one == "without":
            labels.label_without_picture(1)
        elif one == "lost":
            labels.store.delete(labels.label(1))
        else:
            labels.label(1, "good")
    with pytest.raises(InvalidConfiguration, match=said):
        labels.taken()
    assert not labels.out.exists()


def test_a_product_that_the_line_has_not_is_named_beside_those_that_it_has(labels: LabelStore) -> None:
    with pytest.raises(InvalidConfiguration, match="has no product 'part'; --product names one of cell"):
        labels.taken("part")


def test_a_list_that_is_none_is_not_taken_for_an_empty_one(labels: LabelStore) -> None:
    labels.label(1)
    labels.store.put(index_key("l", "cell"), b"\n{")
    with pytest.raises(InvalidConfiguration, match="cannot be believed: the labels of cell cannot be read"):
        labels.taken()


def test_where_keys_are_trusted_a_list_is_taken_with_the_trainers_signature_only(labels: LabelStore) -> None:
    signer = Signer.new()
    trusted = TrustedKeys.parse(signer.public_pem())
    labels.label(1)
    with pytest.raises(InvalidConfiguration, match="cannot be believed"):
        labels.taken(trusted=trusted)
    labels.keep(signer)
    assert labels.taken(trusted=trusted) == [a_picture(1)]


def test_a_labelled_defect_among_the_good_parts_is_named(labels: LabelStore) -> None:
    labels.label(1)
    (labels.good / "2.png").write_bytes(a_picture(1))
    with pytest.raises(
        InvalidConfiguration, match=r"2\.png is labelled a defect on the line, and lies among"
    ):
        labels.taken()


def test_a_folder_that_cannot_be_written_is_named(labels: LabelStore) -> None:
    labels.label(1)
    labels.out.write_text("no folder")
    with pytest.raises(InvalidConfiguration, match=f"--out {labels.out} cannot be used"):
        labels.taken()
