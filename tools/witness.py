"""``python -m tools.witness``: the environment with AutoAttack and auto-LiRPA, for bench.witness alone."""

import sys

from tools.setup.__main__ import one_at_a_time
from tools.setup.command import REQUIREMENTS, ROOT, SetUpFailed
from tools.setup.environments import installed, make_witness
from tools.setup.part import SetUpPart

FOLDER = ROOT / ".venv-witness"


def main() -> int:
    """Make what is missing; returns 0, or 1 after one clear line."""
    locks = [REQUIREMENTS / name for name in ("witness.lock", "witness-bounds.lock")]
    part = SetUpPart(
        "the witnesses' environment (some minutes)",
        FOLDER,
        [*locks, ROOT / "pyproject.toml"],
        make_witness,
        installed,
    )
    try:
        with one_at_a_time():
            part.provide()
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    print(f"the witnesses' environment is there: {FOLDER.name}/bin/python -m bench.witness --help")
    return 0


if __name__ == "__main__":
    sys.exit(main())
