"""One object store that checks signatures, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support.certificates import CertificateAuthority
from tests.support.locked_servers import a_folder
from tests.support.s3_gateway import S3Gateway, gateway_program


@pytest.fixture(scope="session")
def gateway() -> Iterator[S3Gateway]:
    pytest.importorskip("s3fs", reason="the s3 extra is not installed")
    gateway_program()
    with a_folder() as folder:
        made = S3Gateway(folder / "home", CertificateAuthority(folder / "certificates"))
        made.process.start()
        yield made
        made.process.stop()
