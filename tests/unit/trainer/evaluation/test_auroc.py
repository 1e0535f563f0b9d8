"""AUROC by ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from trainer.evaluation.auroc import auroc


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60))
def test_it_is_what_scikit_learn_says_ties_included(rows: list[tuple[int, bool]]) -> None:
    scores, truth = [row[0] for row in rows], [row[1] for row in rows]
    if len(set(truth)) == 2:
        assert auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))


def test_one_kind_alone_and_odd_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        auroc([1, 2], [True, True])
    with pytest.raises(ValueError, match="NaN"):
        auroc([1, np.nan], [True, False])
