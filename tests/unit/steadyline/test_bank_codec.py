"""What stands for an entry in Redis costs no more to be refused than it is long."""

import pytest
from pydantic import ValidationError

from steadyline.bank.codec import MOST_HEAD_BYTES, decode_entry, encode_entry
from steadyline.bank.entry import BankLost
from tests.support.banks import an_entry


def test_an_entry_comes_back_as_it_was_written() -> None:
    entry = an_entry(0)
    assert decode_entry(encode_entry(entry)) == entry


@pytest.mark.parametrize("wrong", [b"[]", b"{}", b"null"])
@pytest.mark.parametrize("count", [5_000, 100_000])
def test_wrong_parameters_by_the_thousand_are_one_fault(wrong: bytes, count: int) -> None:
    parameters = b",".join(b'"%d":%b' % (number, wrong) for number in range(count))
    with pytest.raises(BankLost) as refused:
        decode_entry(b'{"parameters":{' + parameters + b"}}\nab")
    cause = refused.value.__cause__
    assert cause is None or (isinstance(cause, ValidationError) and cause.error_count() < 100)


def test_a_head_of_any_size_is_refused() -> None:
    head, _, pictures = encode_entry(an_entry(0)).partition(b"\n")
    long = head[:-1] + b',"x":"' + b"x" * MOST_HEAD_BYTES + b'"}'
    with pytest.raises(BankLost, match="its head is over"):
        decode_entry(long + b"\n" + pictures)
