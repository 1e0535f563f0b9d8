"""Whose certificates deliveries and the look at the issuer of tokens believe."""

import ssl
from pathlib import Path

from steadyline.errors import InvalidConfiguration


def trusted_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a new context that verifies: the system's authorities and those of ``ca_file``, a PEM file.

    Raises InvalidConfiguration when the file holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # of SSL too, when there is no certificate in it
            raise InvalidConfiguration(f"ALERTS_CA_FILE, {ca_file}: {error}") from error
    return context
