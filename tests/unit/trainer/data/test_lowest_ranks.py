"""The lowest ranks of all that was added, whatever was removed in between, and at what cost."""

import random

from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from trainer.data.lowest_ranks import LowestRanks


class Rank(int):
    """A number that counts how often it is compared."""

    compared = 0

    @override
    def __lt__(self, other: int) -> bool:
        Rank.compared += 1
        return int(self) < int(other)

    @override
    def __neg__(self) -> "Rank":
        return Rank(-int(self))


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=200), st.integers(1, 9))
def test_it_holds_what_a_sort_would_keep(steps: list[tuple[int, bool]], most: int) -> None:
    kept, model = LowestRanks[int](most), dict[str, int]()
    for number, (rank, removes) in enumerate(steps):
        if removes and model:
            name = min(model)
            assert kept.remove(name)
            del model[name]
        else:
            model[str(number)] = rank
            left_out = kept.add(rank, str(number), rank)
            if len(model) > most:
                highest = max(model, key=lambda name: (model[name], [-ord(c) for c in name]))
                assert left_out == model.pop(highest)
            else:
                assert left_out is None
        assert sorted(kept) == sorted(model.values())
        assert len(kept) == len(model)


def test_an_addition_costs_as_many_comparisons_as_the_logarithm_of_what_is_kept() -> None:
    chance, kept = random.Random(0), LowestRanks[None](4000)
    for number in range(9000):
        if number == 8000:
            Rank.compared = 0
        kept.add(Rank(chance.getrandbits(60)), str(number), None)
    assert len(kept) == 4000
    assert 1000 < Rank.compared < 1000 * 60  # a scan of what is kept would be 4000 for each


def test_what_is_removed_leaves_nothing_behind() -> None:
    kept = LowestRanks[None](4)
    for number in range(10_000):
        kept.add(number, str(number), None)
        assert kept.remove(str(number))
    assert len(kept._highest) < 100
