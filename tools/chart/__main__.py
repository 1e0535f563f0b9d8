"""``python -m tools.chart``: writes the files of the chart that are made; ``--check`` says which differ."""

import sys

from tools.chart.files import chart_files, different_files, stale_files
from tools.setup.command import ROOT


def main(arguments: list[str]) -> int:
    """Write what differs and remove what is gone, and say so; with --check 1 where anything would be done."""
    made = chart_files()
    different, stale = different_files(made), stale_files(made)
    if "--check" in arguments:
        for path in (*different, *stale):
            print(f"{path} is not what the code says: `python -m tools.chart` writes it")
        return 1 if different or stale else 0
    for path in stale:
        (ROOT / path).unlink()
        print(f"removed {path}")
    for path in different:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(made[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
