"""AWS_MSK_IAM with credentials that are kept: the client itself looks them up for each connection."""

from functools import lru_cache
from typing import Any

from kafka.net.sasl import register_sasl_mechanism
from kafka.net.sasl.msk import AwsMskIamClient, SaslMechanismAwsMskIam

from steadyline.errors import InvalidConfiguration
from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable


class MskCredentials:
    """The AWS credentials of this process, found and renewed as botocore does, for one region.

    Raises InvalidConfiguration when botocore is not installed.
    """

    def __init__(self, region: str) -> None:
        try:
            from botocore.session import Session
        except ImportError:
            raise InvalidConfiguration(
                "KAFKA_SASL_MECHANISM is AWS_MSK_IAM, which needs botocore: install "
                "steadyline with its extra msk"
            ) from None
        self._region, self._session = region, Session()

    def signer(self, host: str) -> AwsMskIamClient:
        """Return what signs one login; raises EdgeRefused or IssuerUnavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._session.get_credentials()
            held = None if found is None else found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise IssuerUnavailable(
                f"no AWS credentials can be had ({type(error).__name__}): {error}"
            ) from error
        if held is None:
            raise EdgeRefused(
                "there are no AWS credentials here: give the process a role, or the standard AWS_* variables "
                "or files"
            )
        return AwsMskIamClient(host, held.access_key, held.secret_key, self._region, held.token)


class MskIam(SaslMechanismAwsMskIam):
    """The login of one connection; its credentials come as the connection's token provider.

    Defect: the client makes a session of botocore for each login, so that a role is taken anew each time, and
    fails with an error that is none of its own where there are no credentials. It knows no other region than
    AWS_DEFAULT_REGION.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._credentials: MskCredentials = config["sasl_oauth_token_provider"]

    def _build_client(self) -> AwsMskIamClient:
        return self._credentials.signer(self.host)


@lru_cache(maxsize=8)
def msk_credentials(region: str) -> MskCredentials:
    """Return the credentials for a region, and let the client sign with them."""
    register_sasl_mechanism("AWS_MSK_IAM", MskIam, overwrite=True)
    return MskCredentials(region)
