"""Numbers of a profile as they are typed."""

import pytest

from steadyline.errors import InvalidConfiguration
from trainer.overrides import overrides_of


def test_numbers_truths_and_words_are_told_apart() -> None:
    typed = ["schedule.batch=16", "schedule.epsilon=2e-2", "schedule.mixed=false", "switch=sum", "name=a=b"]
    found = overrides_of(typed)
    assert found == {
        "schedule.batch": 16,
        "schedule.epsilon": 0.02,
        "schedule.mixed": False,
        "switch": "sum",
        "name": "a=b",
    }
    assert isinstance(found["schedule.batch"], int)


@pytest.mark.parametrize("typed", ["schedule.batch", "=16", "schedule.batch="])
def test_what_names_no_number_is_refused(typed: str) -> None:
    with pytest.raises(InvalidConfiguration, match="NAME=VALUE is due"):
        overrides_of([typed])
