"""The pattern of a camera that finds the part in a file's name: ``(?P<part>SN[0-9]+)``, for example."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from steadyline.contracts.frame import is_part_name

GROUP = "part"
LONGEST_PATTERN = 200  # characters
LONGEST_NAME = 128  # characters of a file's name; a longer one names no part
MOST_REPEATS = 4  # the worst pattern of four takes seconds on the longest name, of five minutes
CHOICES = 3  # so many count as one repeat: each doubles the ways in which a name may be read

# What the pattern is made of, as far as it matters here: the rest is any one character.
_TOKEN = re.compile(
    r"""\\.                              # an escaped character
    | \[\^?\]?(?:\\.|[^\]\\])*\]       # a set of characters
    | \(\?(?:[aims]+|P=\w+)\)           # flags of the whole, or what a group has found again
    | \((?:\?(?:P<\w+>|<?[=!]|:))?      # the beginning of a group
    | (?:[*+?]|\{[0-9,]+\})[+?]?        # a repeat
    | .""",
    re.DOTALL | re.VERBOSE,
)
_CHOICES = ("|", "?", "??", "?+")
_FIXED = re.compile(r"\{[0-9]+\}")  # as often as it says, which is no choice


def check_part_pattern(text: str) -> str:
    """Return ``text``; raises ValueError when it cannot name parts, or may take for ever on some name.

    A repeat within a repeat, or a choice within one, lets the number of ways in which a name may be read grow
    exponentially with its length. What would make the text mean something else than its tokens say, as spaces
    and comments do, is refused.
    """
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"more than {LONGEST_PATTERN} characters")
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression: {error}") from None
    if GROUP not in pattern.groupindex:
        raise ValueError(f"no group (?P<{GROUP}>...), which says what of the name is the part")
    tokens = _TOKEN.findall(text)
    if _has_foreign_group(tokens):
        raise ValueError("of what begins with (? groups, lookarounds and flags as (?i), not x, are taken")
    repeated = list(_repeated(tokens))
    if any(repeated):
        raise ValueError("a repeat or a choice within a repeat can take for ever: write it without")
    choices = sum(token in _CHOICES for token in tokens)
    if len(repeated) + choices // CHOICES > MOST_REPEATS:
        raise ValueError(
            f"more than {MOST_REPEATS} repeats can take for ever; {CHOICES} choices, ? or |, count as one"
        )
    return text


def part_of(pattern: re.Pattern[str], name: str) -> str | None:
    """Return the part that a file's name holds; None where it does not match, or what it gives is no name."""
    match = pattern.search(name) if len(name) <= LONGEST_NAME else None
    found = None if match is None else match[GROUP]
    return found if found is not None and is_part_name(found) else None


def _has_foreign_group(tokens: Sequence[str]) -> bool:
    """Tell whether a group begins with what is no token: a flag with x, a comment, or a condition."""
    return any(one == "(" and after[0] == "?" for one, after in pairwise(tokens))


def _repeated(tokens: Iterable[str]) -> Iterator[bool]:
    """Yield, for each repeat, whether what is repeated holds another one, or a choice."""
    inside = [False]  # of each open group, the whole first: whether it holds a repeat or a choice
    closed = False  # whether the token before has closed a group that does
    for token in tokens:
        if _is_repeat(token):
            yield closed
        if token in _CHOICES or (_is_repeat(token) and not _FIXED.fullmatch(token)):
            inside[-1] = True
        closed = False
        if token[0] == "(" and token[-1] != ")":
            inside.append(False)
        elif token == ")" and len(inside) > 1:
            closed = inside.pop()
            inside[-1] = inside[-1] or closed


def _is_repeat(token: str) -> bool:
    return token[0] in "*+" or (token[0] == "{" and len(token) > 1)
