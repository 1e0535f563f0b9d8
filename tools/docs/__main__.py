"""``python -m tools.docs``: writes the generated documents, and removes schemas of messages that are gone."""

import sys

from tools.docs.documents import SCHEMAS, documents
from tools.docs.schema import Undescribed
from tools.setup.command import ROOT


def main() -> int:
    """Write what differs, and say so; 1 when something has no description."""
    try:
        made = documents()
    except Undescribed as error:
        print(f"nothing is written: {error}", file=sys.stderr)
        return 1
    stale = {path.relative_to(ROOT) for path in (ROOT / SCHEMAS).glob("*.json")} - made.keys()
    for path in sorted(stale):
        (ROOT / path).unlink()
        print(f"removed {path}")
    for path, text in made.items():
        target = ROOT / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
