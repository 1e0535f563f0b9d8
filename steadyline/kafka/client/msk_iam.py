"""AWS_MSK_IAM with credentials that are kept: the client itself looks them up for each connection."""

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import lru_cache
from typing import Any

from kafka.net.sasl import register_sasl_mechanism
from kafka.net.sasl.msk import AwsMskIamClient, SaslMechanismAwsMskIam

from steadyline.daemon_pool import DaemonPool
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable
from steadyline.kafka.client.tokens import ANSWER_SECONDS, BRIEF_SECONDS
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


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
        self._pool = DaemonPool(1, "kafka-aws")
        self._held: Any = None  # the last credentials, frozen
        self._asking: Future[Any] | None = None

    def signer(self, host: str) -> AwsMskIamClient:
        """Return what signs one login; raises EdgeRefused or IssuerUnavailable, and both in time.

        A client logs in within its own loop, which stands still meanwhile, and botocore may ask services that
        do not answer (a container's, an instance's, STS): the first credentials are waited for
        ANSWER_SECONDS, renewed ones BRIEF_SECONDS, and then those before are used once more.
        """
        held = self._credentials()
        if held is None:
            raise EdgeRefused(
                "there are no AWS credentials here: give the process a role, or the standard AWS_* variables "
                "or files"
            )
        return AwsMskIamClient(host, held.access_key, held.secret_key, self._region, held.token)

    def _credentials(self) -> Any:
        """Return frozen credentials; None when there are none."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self._asking is None:
            self._asking = self._pool.submit(self._find)
        asking = self._asking
        try:
            self._held = asking.result(ANSWER_SECONDS if self._held is None else BRIEF_SECONDS)
        except FutureTimeout:
            if self._held is None:
                raise IssuerUnavailable(
                    f"no AWS credentials can be had: no answer within {ANSWER_SECONDS:g} s of the service "
                    "that gives them to this process (its instance's, its container's, or STS)"
                ) from None
            return self._held
        except (BotoCoreError, ClientError) as error:
            self._asking = None
            if self._held is None:
                raise IssuerUnavailable(
                    f"no AWS credentials can be had ({type(error).__name__}): {error}"
                ) from error
            log.warning("kafka_token_not_renewed", error=f"{type(error).__name__}: {error}")
            return self._held
        self._asking = None
        return self._held

    def _find(self) -> Any:
        found = self._session.get_credentials()
        return None if found is None else found.get_frozen_credentials()


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
