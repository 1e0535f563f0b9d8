"""One finding of the doctor, and the report of all findings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Literal

from steadyline.errors import SteadylineError

State = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked and what was found; ``remedy`` says what to do when the check failed."""

    check: str
    state: State
    found: str
    remedy: str = ""


@dataclass(slots=True)
class Report:
    """All findings, in the order in which they were made."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        """True when no check failed; skipped checks do not count."""
        return all(finding.state != "failed" for finding in self.findings)

    def ok(self, check: str, found: str) -> None:
        """Add a check that passed."""
        self.findings.append(Finding(check, "ok", found))

    def failed(self, check: str, found: str, remedy: str) -> None:
        """Add a check that failed, with what to do."""
        self.findings.append(Finding(check, "failed", found, remedy))

    def skipped(self, check: str, why: str) -> None:
        """Add a check that could not be made."""
        self.findings.append(Finding(check, "skipped", why))

    def judge(self, check: str, is_so: bool, found: str, remedy: str) -> None:
        """Add a check that passed or failed."""
        if is_so:
            self.ok(check, found)
        else:
            self.failed(check, found, remedy)

    @contextmanager
    def looking_at(self, check: str, remedy: str) -> Iterator[None]:
        """Turn an error of ours within the block into a failed check."""
        try:
            yield
        except SteadylineError as error:
            self.failed(check, f"{error.reason}: {error}", remedy)

    def as_json(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return {"healthy": self.is_healthy, "findings": [asdict(finding) for finding in self.findings]}
