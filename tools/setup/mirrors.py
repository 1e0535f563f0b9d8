"""The mirrors that pip is configured for, as uv wants to hear of them; uv reads no pip configuration."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping

from tools.setup.command import answer

# pip's option -> uv's variable
_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


def uv_environment(pip: str) -> dict[str, str]:
    """Return variables for uv; what the environment says already goes first. ``pip`` is a Python with pip."""
    said = answer([pip, "-m", "pip", "config", "list"]) or ""
    found = translate(said)
    found = {name: value for name, value in found.items() if name not in os.environ}
    return {"UV_HTTP_TIMEOUT": "300", "VIRTUAL_ENV": "", **found}


def translate(listing: str) -> dict[str, str]:
    """Translate ``pip config list``: rows of ``section.option='value'``; the environment overrides files."""
    options: dict[str, str] = {}
    rows = [row.partition("=") for row in listing.splitlines() if "=" in row]
    for key, _, value in sorted(rows, key=lambda row: row[0].startswith(":env:")):
        section, _, option = key.strip().rpartition(".")
        if section in ("global", "install", ":env:") and option in _VARIABLES:
            options[_VARIABLES[option]] = " ".join(_literal(value).split())
    return _joined(options)


def _literal(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _joined(options: Mapping[str, str]) -> dict[str, str]:
    """uv separates find-links by commas and insists that each is there; pip does neither."""
    links = [
        link for link in options.get("UV_FIND_LINKS", "").split() if "://" in link or os.path.isdir(link)
    ]
    others = {name: value for name, value in options.items() if name != "UV_FIND_LINKS"}
    return {**others, "UV_FIND_LINKS": ",".join(links)} if links else others
