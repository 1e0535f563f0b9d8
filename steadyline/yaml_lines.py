"""Parses YAML and knows for each value on which line it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from steadyline.errors import InvalidConfiguration

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class YamlLines:
    """Parsed YAML; ``line_of`` finds the line of each of its parts."""

    data: Any
    _root: yaml.Node | None

    def line_of(self, location: Location) -> int:
        """Return the 1-based line of the deepest part of ``location`` that the text has."""
        node, number = self._root, 1
        if node is not None:
            number = node.start_mark.line + 1
        for part in location:
            found = _child(node, part)
            if found is None:
                break
            number, node = found
        return number


def parse_yaml(text: str, name: str) -> YamlLines:
    """Return parsed YAML; raises InvalidConfiguration with ``name:line`` when the text is not YAML.

    A key given twice in one mapping is refused as well: YAML would silently take the last.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        twice = list(_given_twice(root, ()))
        if twice:
            raise InvalidConfiguration(*(f"{name}:{problem}" for problem in twice))
        return YamlLines(yaml.safe_load(text), root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise InvalidConfiguration(f"{name}:{line}: no valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidConfiguration(f"{name}: no valid YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:  # of a date or a number that there is not, as 2026-13-01 or 0x_
        raise InvalidConfiguration(f"{name}: no valid YAML: {error}: write the value in quotes") from error


def _child(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    """Return (line, node) of one part; the line of a mapping's part is that of its key."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return child.start_mark.line + 1, child
    return None


def _given_twice(node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            here = (*path, str(key.value))
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                yield f"{line}: {'.'.join(here)}: given twice, first in line {seen[key.value]}"
            if isinstance(key, yaml.ScalarNode):
                seen[key.value] = line
            yield from _given_twice(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _given_twice(child, (*path, str(index)))
