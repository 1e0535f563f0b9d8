"""``python -m tools.dashboards``: writes deploy/dashboards/*.json and deploy/rules/slo.yaml."""

import sys

from tools.dashboards.documents import documents
from tools.setup.command import ROOT


def main() -> int:
    """Write what differs, and say so."""
    for path, text in documents().items():
        target = ROOT / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
