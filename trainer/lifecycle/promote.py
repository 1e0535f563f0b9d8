"""Put a version in service: write it beside the old one, load it, probe it. A failure takes it out again."""

from datetime import timedelta
from typing import Protocol

from steadyline.contracts.model_event import Model
from steadyline.digest import sha256
from steadyline.errors import ContractBroken, InferenceUnavailable, PackageRejected
from steadyline.inference import Inference
from steadyline.package import MODEL
from steadyline.parity import check_parity
from steadyline.probe import probe
from steadyline.telemetry.logs import get_logger
from steadyline.triton import RepositoryEntry
from steadyline.triton_config import Serving
from trainer.lifecycle.repository import ModelRepository
from trainer.triton_config import config_of

log = get_logger(__name__)

_NOT_INTACT = "the live version's file in Triton's repository is not the one that was announced"
TELL_WITHIN = timedelta(seconds=5)  # a load that hangs blocks the next load of the same model too


class PromotionFailed(Exception):
    """The version is not in service and the old one still is; ``word`` gives the reason."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(f"{word}: {message}")
        self.word = word


class ModelServer(Inference, Protocol):
    """What a promotion needs of Triton."""

    def is_server_ready(self) -> bool:
        """Tell whether the server answers; never raises."""
        ...

    def load(self, name: str, within: timedelta) -> None:
        """Load the repository's versions of ``name``; raises InferenceUnavailable with Triton's reason."""
        ...

    def index(self) -> list[RepositoryEntry]:
        """Return every version with its state; raises InferenceUnavailable."""
        ...


class Promoter:
    """Puts versions of a product into Triton and takes them out."""

    def __init__(
        self, repository: ModelRepository, triton: ModelServer, load_within: timedelta, serving: Serving
    ) -> None:
        self._repository, self._triton, self._within = repository, triton, load_within
        self._serving = serving

    def put_beside(self, product: str, model: Model, file: bytes, live: Model | None) -> None:
        """Serve ``model``, whose file this is, beside the version ``live`` and check its known answers.

        One of another grid, map or parts is served in the place of ``live``, since one configuration is for
        both: frames wait until it is announced, or until ``live`` is served again.
        Raises PromotionFailed when the version cannot be loaded or answers wrongly; it is taken out and
        ``live`` is served as before. Raises InferenceUnavailable when Triton itself is away; nothing is
        decided then, and the same call may be repeated. Raises PackageRejected, having written nothing, when
        the file may not be served.
        """
        before = None if live is None else self.intact_file(product, live)
        beside = self.publish(product, model, file, live)
        try:
            self._load(product, model.version)
            self._probe(model, product)
        except PromotionFailed as failure:
            log.warning("promotion_failed", product=product, version=model.version, error=str(failure))
            self._take_out(product, model.version, live, before)
            raise
        log.info("version_served", product=product, version=model.version, beside=beside)

    def intact_file(self, product: str, model: Model) -> bytes | None:
        """Return the version's model file from the repository, so that it can be served without the store;
        None when it is not there or was changed.
        """
        file = self._repository.model_file(product, model.version)
        return file if file is not None and sha256(file) == model.package.digests.get(MODEL) else None

    def publish(self, product: str, model: Model, file: bytes, keep: Model | None) -> int | None:
        """Write the version where Triton reads it; raises PackageRejected as above.

        Returns the version that it lies beside: that of ``keep``, or None where one configuration cannot be
        for both. Triton would refuse its frames then, or not load it, and with it the new one.
        """
        config = config_of(product, model, file, self._serving)
        beside = keep.version if keep is not None and self._is_served_by(config, product, keep) else None
        self._repository.publish(product, model.version, file, config, beside)
        return beside

    def _is_served_by(self, config: bytes, product: str, model: Model) -> bool:
        """Tell whether a configuration is that of the version as it lies in the repository."""
        file = self._repository.model_file(product, model.version)
        try:
            return file is not None and config_of(product, model, file, self._serving) == config
        except PackageRejected:
            return False

    def load_again(self, product: str, version: int) -> None:
        """Load a version that Triton lost; raises InferenceUnavailable when it is not ready afterwards."""
        self._triton.load(product, self._within)
        if not self.is_served(product, version):
            raise InferenceUnavailable(f"version {version} of {product} was loaded and is not ready")

    def is_served(self, product: str, version: int) -> bool:
        """Tell whether Triton has the version ready; raises InferenceUnavailable when Triton is away."""
        return any(
            entry.name == product and entry.version == version and entry.state == "READY"
            for entry in self._triton.index()
        )

    def mend(self, product: str, version: int) -> None:
        """Reload a version whose server process died, which Triton does not notice by itself.

        Triton reads all that lies there: ``publish`` the version first.
        """
        self._repository.touch(product, version)
        self._triton.load(product, self._within)

    def _load(self, product: str, version: int) -> None:
        """Load the version; a failure is the version's fault only while Triton itself answers."""
        try:
            self._triton.load(product, self._within)
        except InferenceUnavailable as error:
            if not self._triton.is_server_ready():
                raise
            word = "load_timeout" if "DEADLINE" in str(error) else "load_failed"
            raise PromotionFailed(word, str(error)) from error
        if not self.is_served(product, version):
            raise PromotionFailed("load_failed", f"Triton does not list version {version} as ready")

    def _probe(self, model: Model, product: str) -> None:
        try:
            probe(product, model, self._triton)
            check_parity(product, model, self._triton)
        except ContractBroken as error:
            raise PromotionFailed("wrong_answer", str(error)) from error
        except InferenceUnavailable as error:
            if not self._triton.is_server_ready():
                raise
            raise PromotionFailed("no_answer", str(error)) from error

    def _take_out(self, product: str, version: int, live: Model | None, file: bytes | None) -> None:
        """Remove the version and have Triton reread; the live version is served even if that fails, unless
        the other took its place: then it is with the next ``load_again``.

        Triton reads the configuration as well, so that of the live version, whose ``file`` this is, is
        written first. With None, for a file that is not what was announced, nothing is read again: Triton has
        the right one in memory.
        """
        self._repository.remove(product, version)
        if live is None:
            return
        if file is None:
            log.warning("repository_not_reread", product=product, version=version, error=_NOT_INTACT)
            return
        try:
            self.publish(product, live, file, keep=None)
            self._triton.load(product, TELL_WITHIN)
        except (InferenceUnavailable, PackageRejected) as error:
            log.warning("repository_not_reread", product=product, version=version, error=str(error))
