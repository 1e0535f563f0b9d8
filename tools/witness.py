"""``python -m tools.witness``: the environment with AutoAttack and auto-LiRPA, for bench.witness alone."""

import sys

from tools.setup.bench_environment import provide
from tools.setup.command import REQUIREMENTS, ROOT
from tools.setup.environments import installed, make_witness
from tools.setup.part import SetUpPart

PART = SetUpPart(
    "the witnesses' environment (some minutes)",
    ROOT / ".venv-witness",
    [REQUIREMENTS / "witness.lock", REQUIREMENTS / "witness-bounds.lock", ROOT / "pyproject.toml"],
    make_witness,
    installed,
)

if __name__ == "__main__":
    sys.exit(provide(PART, "bench.witness"))
