"""A report on the terminal: what was found, and what to do, once for all that it mends."""

import pytest
import typer

from steadyline.cli.findings import conclude
from steadyline.ops.doctor.finding import Report


def test_a_remedy_is_printed_once_behind_the_findings_that_it_mends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report()
    for name in ("a", "b", "c"):
        report.failed(name, "missing", "make them")
    report.ok("d", "there")
    report.failed("e", "missing", "make them")
    with pytest.raises(typer.Exit):
        conclude(report, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "failed  a: missing",
        "failed  b: missing",
        "failed  c: missing",
        "        → make them",
        "ok      d: there",
        "failed  e: missing",
        "        → make them",
        "4 failed",
    ]
