"""Each kind of defect is judged alone, so that one which is never found does not hide behind the others."""

import numpy as np

from trainer.data.mvtec import TestSet
from trainer.evaluation.auroc import auroc
from trainer.evaluation.localisation import localisation
from trainer.evaluation.per_defect import by_kind

SIDE = 8
KINDS = ("good", "good", "scratch", "scratch", "stain")


def a_test_set() -> TestSet:
    masks = np.zeros((5, SIDE, SIDE), bool)
    masks[2, 1:3, 1:3] = masks[3, 4:6, 4:6] = masks[4, 5:, 5:] = True
    pictures = np.zeros((5, SIDE, SIDE, 1), np.uint8)
    return TestSet(pictures, KINDS, tuple("abcde"), masks, np.ones(5, bool))


def maps() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    found = np.random.default_rng(0).random((5, SIDE, SIDE), np.float32)
    found[2:4] += a_test_set().masks[2:4]  # type: ignore[index]  # scratches are located, the stain is not
    return found


def test_a_kind_that_is_found_and_one_that_is_not_have_figures_of_their_own() -> None:
    scores = np.array([0.2, 0.3, 0.8, 0.9, 0.1], np.float32)
    found = by_kind(a_test_set(), scores, maps())
    assert list(found) == ["scratch", "stain"]
    assert (found["scratch"]["pictures"], found["stain"]["pictures"]) == (2, 1)
    assert (found["scratch"]["image_auroc"], found["stain"]["image_auroc"]) == (1.0, 0.0)
    assert found["scratch"]["pixel_auroc"] > 0.99
    assert found["stain"]["pixel_auroc"] < 0.8


def test_pixels_of_other_kinds_do_not_count() -> None:
    test, scores = a_test_set(), np.arange(5, dtype=np.float32)
    assert test.masks is not None
    kept, own = [0, 1, 4], maps()
    where = localisation(own[kept], test.masks[kept])
    assert by_kind(test, scores, own)["stain"] == {
        "pictures": 1,
        "image_auroc": 1.0,
        "defective_pixels": 9,
        "pixel_auroc": round(auroc(own[kept].ravel(), test.masks[kept].ravel()), 4),
        "aupro": round(where.aupro, 4),
        "ap": round(where.ap, 4),
    }


def test_a_kind_without_masks_has_no_pixel_figure() -> None:
    test, scores = a_test_set(), np.arange(5, dtype=np.float32)
    located = np.array([True] * 4 + [False])
    found = by_kind(
        TestSet(test.pictures, test.kinds, test.names, test.masks, located), scores, maps()[located]
    )
    assert sorted(found["stain"]) == ["image_auroc", "pictures"]
    assert "aupro" in found["scratch"]
    assert "aupro" not in by_kind(test, scores, None)["scratch"]
