"""The figures of one candidate, a detector at a grid, and the file that keeps them. Pure but for the file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from steadyline.grid import Grid
from steadyline.replace_file import replace_file
from trainer.sight import Evidence, Sight, blind_reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """A detector at a grid."""

    detector: str
    grid: Grid

    @property
    def name(self) -> str:
        """The name in tables and of its file."""
        return f"{self.detector} {self.grid}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a candidate after a short training.

    ``evidence`` has what it made of pseudo-anomalies, and of known defects where there are any. The rates of
    false alarms are of each held-out block at the other's threshold: ``alarms`` as the pictures are, and
    ``shifted`` the mean over mild corruptions. ``attacked`` is the AUROC that a short PGD leaves of
    all pictures, ``hidden`` the one that it leaves when it only hides defects, and ``proven`` the AUROC that
    no attack can go below, None where nothing is proven. ``map_png`` is the first example's map, a PNG
    picture in base64.
    """

    candidate: Candidate
    p99_ms: float
    memory_mib: float
    evidence: tuple[Sight, ...]
    alarms: float
    shifted: float
    attacked: float
    hidden: float
    proven: float | None
    cpu_seconds: float
    map_png: str = ""

    def sight(self, evidence: Evidence) -> Sight | None:
        """Return what it made of one kind of evidence; None where there is none."""
        return next((one for one in self.evidence if one.evidence == evidence), None)

    @property
    def judged(self) -> Sight:
        """The sight that counts: that of known defects where there are any."""
        found = self.sight("defects") or self.sight("pseudo")
        assert found is not None, "a candidate is measured on one kind of evidence at least"
        return found

    @property
    def blind(self) -> str | None:
        """In plain words why it sees next to nothing; None when it sees something."""
        return blind_reason(self.judged)


def kept_file(out: Path, candidate: Candidate, digest: str) -> Path:
    """Return where the figures of a candidate are kept; ``digest`` is of all that they depend on."""
    name = f"{candidate.detector}-{candidate.grid}-{digest[:12]}.json"
    return out / "candidates" / name.replace("+", "_").replace("&", "_")


def keep(path: Path, measured: Measured) -> None:
    """Write the figures of a candidate, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {**asdict(measured), "candidate": [measured.candidate.detector, str(measured.candidate.grid)]}
    replace_file(path, json.dumps(rows, indent=1).encode())


def read_kept(path: Path) -> Measured | None:
    """Return kept figures; None where there are none that can be read, so that they are measured again."""
    try:
        rows = json.loads(path.read_bytes())
        detector, grid = rows.pop("candidate")
        evidence = tuple(Sight(**one) for one in rows.pop("evidence"))
        return Measured(candidate=Candidate(detector, Grid.parse(grid)), evidence=evidence, **rows)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def rank_correlation(pairs: Mapping[str, tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation of two figures over candidates; None for fewer than three, or where
    one figure is the same for all.
    """
    if len(pairs) < 3:
        return None
    first, second = (_ranks([pair[at] for pair in pairs.values()]) for at in (0, 1))
    centre = (len(pairs) - 1) / 2
    spread = [sum((rank - centre) ** 2 for rank in ranks) for ranks in (first, second)]
    if not all(spread):
        return None
    shared = sum((a - centre) * (b - centre) for a, b in zip(first, second, strict=True))
    return float(shared / (spread[0] * spread[1]) ** 0.5)


def _ranks(values: list[float]) -> list[float]:
    """Return ranks from 0; equal values share the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]
