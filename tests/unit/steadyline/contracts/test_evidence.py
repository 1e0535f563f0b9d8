"""A key of evidence names one frame's file, and nothing else is one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.contracts.evidence import MAP_NAME, PICTURE_NAMES, EvidenceKey
from steadyline.errors import MalformedMessage
from tests.support.messages import counts, names

TOPIC_ID = "hT3bX-Q_RkOa1yq0vN5wZg"
KEY = EvidenceKey("north", "north.frames.v1", TOPIC_ID, 3, 17, "picture.jpg")
WHOLE = f"evidence/north/north.frames.v1/{TOPIC_ID}/3/17/picture.jpg"

keys = st.builds(
    EvidenceKey,
    names,
    names.map(lambda prefix: f"{prefix}.frames.v1"),
    st.from_regex(r"\A[A-Za-z0-9_-]{22}\Z"),
    counts,
    counts,
    st.sampled_from([*PICTURE_NAMES, MAP_NAME]),
)


def test_a_key_is_written_as_the_rule_says() -> None:
    assert str(KEY) == WHOLE


@given(keys)
def test_every_key_is_read_as_it_was_written(key: EvidenceKey) -> None:
    assert EvidenceKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, line="south"),
        replace(KEY, topic_id="another"),
        replace(KEY, partition=4),
        replace(KEY, offset=0),
    ],
)
def test_another_line_topic_or_place_has_another_key(other: EvidenceKey) -> None:
    assert str(other) != WHOLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evidence",
        f"/{WHOLE}",
        f"{WHOLE}/",
        f"{WHOLE}\n",
        f"file:///store/{WHOLE}",
        WHOLE.replace("evidence", "jobs"),
        WHOLE.replace("evidence", "Evidence"),
        WHOLE.replace("/north/", "/../"),
        WHOLE.replace("/north/", "/North/"),
        WHOLE.replace("/north/", "//"),
        WHOLE.replace("north.frames.v1", ".."),
        WHOLE.replace("north.frames.v1", "*"),
        WHOLE.replace("north.frames.v1", "x" * 250),
        WHOLE.replace(TOPIC_ID, "."),
        WHOLE.replace(TOPIC_ID, "x" * 65),
        WHOLE.replace("/3/", "/03/"),
        WHOLE.replace("/3/", "/-3/"),
        WHOLE.replace("/3/", "/٣/"),
        WHOLE.replace("/17/", "/" + "9" * 5000 + "/"),
        WHOLE.replace("picture.jpg", "picture.jpg.exe"),
        WHOLE.replace("picture.jpg", "*"),
        WHOLE.replace("picture.jpg", "result.json"),
        f"{WHOLE}/../../../../../../jobs/part/result.json",
    ],
)
def test_what_is_no_key_to_the_letter_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        EvidenceKey.parse(text)


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        found = EvidenceKey.parse(text)
    except MalformedMessage:
        return
    assert str(found) == text
