"""Check when the certificates end that the settings name."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from steadyline.ops.doctor.finding import Report
from steadyline.telemetry.certificates import CertificateFile, CertificateUnreadable

# As the alert SteadylineCertificateEnds has it: one that lives for a day is not late a day before its end.
LEFT = timedelta(days=2)
SHARE = 0.1
_DAY = timedelta(days=1)


def look_at_certificates(files: Iterable[CertificateFile], now: datetime, report: Report) -> None:
    """Add a finding for each file: how long it lasts; failed when its end is near, past, or unknown."""
    for file in files:
        check = f"{file.role} of {file.edge}"
        try:
            life = file.life(now)
        except CertificateUnreadable as error:
            report.failed(check, str(error), "name a file of certificates, as PEM, that this user may read")
            continue
        left = life.ends - now
        report.judge(
            check,
            left > min(LEFT, SHARE * (life.ends - life.starts)),
            f"{file.path} ends at {life.ends:%Y-%m-%d %H:%M} UTC, in {left / _DAY:.1f} days",
            "put a new one in the place of the file: services take it up without a restart",
        )
