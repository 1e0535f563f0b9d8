"""``docs/api.md``: the alerts' API for people, made from its OpenAPI document."""

import re
from collections import defaultdict
from collections.abc import Iterator

from alerts.api.problem import PROBLEMS
from alerts.api.view import BASE
from alerts.database.token_store import ROLES
from tools.docs.markdown import NOTICE, code, prose, table
from tools.docs.openapi import Node, document

_SCHEMA = "#/components/schemas/"
_PAGE = re.compile(r"ListPage_(\w+)_")
_INTRO = f"""\
# The API of the alerts

All paths begin with `{BASE}`. Every request needs `Authorization: Bearer …`: a token of ours, or one of the
configured issuer. Roles, each of which may do what those before it may: {", ".join(map(code, ROLES))}.
Bodies and answers are JSON; long lists come in pages, and `next` is the `cursor` of the next one. With an
`Idempotency-Key` what makes or does something can safely be sent again. [openapi.json](openapi.json) says all
of it to programs, and so does `{BASE}/openapi.json` of a running service. Begin with
[subscribe.md](subscribe.md); `steadyline alerts` does all that the API does.
"""


def page() -> str:
    """Return the page; raises Undescribed."""
    by_tag: dict[str, list[tuple[str, str, Node]]] = defaultdict(list)
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            by_tag[operation["tags"][0]].append((method.upper(), path.removeprefix(BASE), operation))
    parts = [NOTICE, _INTRO]
    for tag, operations in sorted(by_tag.items()):
        parts.append(f"\n## {tag[0].upper()}{tag[1:]}\n")
        parts += [_operation(*operation) for operation in operations]
    return "".join([*parts, "\n## Problems\n", _problems()])


def _operation(method: str, path: str, operation: Node) -> str:
    lines = [
        f"\n### {method} {path}\n\n{prose(operation['description'])}\n\nRole: {code(operation['x-role'])}."
    ]
    body, answers = _body(operation), ", ".join(_answers(operation))
    lines.append(f" Body: {body}." if body else "")
    lines.append(f" Answer: {answers}.\n" if answers else "\n")
    rows = list(_parameters(operation))
    if rows:
        lines.append("\n" + table(("parameter", "in", "type", "what"), rows))
    return "".join(lines)


def _parameters(operation: Node) -> Iterator[tuple[str, str, str, str]]:
    for one in operation.get("parameters", ()):
        schema = one["schema"]
        what = one.get("description") or schema.get("description") or ""
        where = f"{one['in']}, needed" if one["required"] and one["in"] != "path" else one["in"]
        default = f" By default {code(schema['default'])}." if schema.get("default") not in (None, []) else ""
        yield code(one["name"]), where, type_of(schema), f"{what}{default}"


def _body(operation: Node) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return ", ".join(type_of(media["schema"]) for media in content.values() if "schema" in media)


def _answers(operation: Node) -> Iterator[str]:
    for status, answer in operation["responses"].items():
        if status == "default":
            continue
        kinds = [_media(name, media.get("schema", {})) for name, media in answer.get("content", {}).items()]
        yield " ".join([status, " or ".join(kinds)]).strip()


def _media(name: str, schema: Node) -> str:
    return type_of(schema) if name == "application/json" and schema else code(name)


def type_of(schema: Node) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_SCHEMA)
        paged = _PAGE.fullmatch(name)
        return f"a page of {code(paged[1])}" if paged else code(name)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(type_of(one) for one in schema[choice] if one != {"type": "null"})
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _problems() -> str:
    said = (
        "\nAn error is a problem of RFC 9457 (`application/problem+json`) with a fixed word in `reason`. An "
        "act that does not fit an incident as it stands is answered by 409 with a word of its own, for "
        "example `already_resolved`.\n\n"
    )
    rows = [(code(word), str(status), title) for word, (status, title) in sorted(PROBLEMS.items())]
    return said + table(("reason", "status", "what"), rows)
