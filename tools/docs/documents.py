"""The list of generated documents."""

import json
from pathlib import Path

from tools.docs import api, asyncapi, configuration, contracts, metrics, openapi
from tools.docs.messages import JSON_KINDS, schema_name
from tools.docs.schema import message_schema

DOCS = Path("docs")
SCHEMAS = DOCS / "schemas"


def documents() -> dict[Path, str]:
    """Return path from the root → text. Raises Undescribed when something has no description."""
    made = {
        DOCS / "configuration.md": configuration.page(),
        DOCS / "metrics.md": metrics.page(),
        DOCS / "contracts.md": contracts.page(),
        DOCS / "asyncapi.yaml": asyncapi.page(),
        DOCS / "openapi.json": openapi.page(),
        DOCS / "api.md": api.page(),
    }
    for kind in JSON_KINDS:
        schema = message_schema(kind.model)
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        made[SCHEMAS / schema_name(kind.name)] = f"{text}\n"
    return made
