"""Values that the chart itself must refuse, each in a file that says with which words."""

from pathlib import Path

from tools.setup.command import ROOT
from tools.verify_deploy.release.chart_release import PLANT, ChartRelease
from tools.verify_deploy.report import CheckFailed

FOLDER = ROOT / "deploy" / "verify" / "refused"
_MARK = "# Refused with: "


def check_refused_values(release: ChartRelease) -> str:
    """Render each file on top of the plant's; raises CheckFailed when it renders."""
    paths = sorted(FOLDER.glob("*.yaml"))
    for path in paths:
        options = [*release.options(PLANT), "-f", str(path)]
        try:
            release.render(options)
        except CheckFailed as error:
            said, words = " ".join(error.shown), expected_words(path)
            if words not in said:
                raise CheckFailed(f"{path.stem} is refused, but not with: {words}", said) from None
            continue
        raise CheckFailed(f"{path.stem} is not refused")
    return f"{len(paths)} refused by the chart"


def expected_words(path: Path) -> str:
    """Return what the first line of a file says that the chart will say; raises CheckFailed without it."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    if not first.startswith(_MARK):
        raise CheckFailed(f"{path.name} does not begin with: {_MARK}…")
    return first.removeprefix(_MARK)
