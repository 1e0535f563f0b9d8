"""Put a version in service: write it beside the old one, load it, probe it. A failure takes it out again."""

from dataclasses import dataclass
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

_NOT_INTACT = "neither Triton's repository nor the store has the live version's file as it was announced"
TELL_WITHIN = timedelta(seconds=5)  # a load that hangs blocks the next load of the same model too


class PromotionFailed(Exception):
    """The version is not in service and the old one still is; ``word`` gives the reason."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(f"{word}: {message}")
        self.word = word


@dataclass(frozen=True, slots=True)
class InService:
    """A version that is in service, with its model file; None when there is no intact copy of it."""

    model: Model
    file: bytes | None


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

    def put_beside(self, product: str, model: Model, file: bytes, live: InService | None) -> None:
        """Serve ``model``, whose file this is, beside the version ``live`` and check its known answers.

        One of another grid, map or parts is served in the place of ``live``, since one configuration is for
        both: Triton would refuse its frames, or load neither. Frames wait then until it is announced, or
        until ``live`` is served again, whose file lies aside meanwhile. Without an intact copy of that file
        there is no way back, and no place is taken.
        Raises PromotionFailed when the version cannot be loaded or answers wrongly; it is taken out and
        ``live`` is served as before. Raises InferenceUnavailable when Triton itself is away; nothing is
        decided then, and the same call may be repeated. Raises PackageRejected, having written nothing, when
        the file may not be served.
        """
        config = config_of(product, model, file, self._serving)
        beside = None if live is None else live.model.version
        if live is not None and live.file is not None and not self._is_served_by(config, product, live):
            self._repository.set_aside(product, live.model.version)
            beside = None
        self._repository.publish(product, model.version, file, config, beside)
        try:
            self._load(product, model.version)
            self._probe(model, product)
        except PromotionFailed as failure:
            log.warning("promotion_failed", product=product, version=model.version, error=str(failure))
            self._take_out(product, model.version, live)
            raise
        log.info("version_served", product=product, version=model.version, beside=beside)

    def intact_file(self, product: str, model: Model) -> bytes | None:
        """Return the version's model file from the repository, so that it can be served without the store;
        None when it is not there or was changed.
        """
        file = self._repository.model_file(product, model.version)
        return file if file is not None and sha256(file) == model.package.digests.get(MODEL) else None

    def publish(self, product: str, live: InService, keep: Model | None) -> None:
        """Write the version in service where Triton reads it, beside ``keep`` where that is intact and of the
        same configuration; raises PackageRejected as above.
        """
        assert live.file is not None, "who publishes a version has its file"
        config = config_of(product, live.model, live.file, self._serving)
        beside = None
        if keep is not None and (file := self.intact_file(product, keep)) is not None:
            beside = keep.version if self._is_served_by(config, product, InService(keep, file)) else None
        self._repository.publish(product, live.model.version, live.file, config, beside)

    def _is_served_by(self, config: bytes, product: str, version: InService) -> bool:
        """Tell whether a configuration is that of a version, whose file is there."""
        try:
            return config_of(product, version.model, version.file or b"", self._serving) == config
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

    def _take_out(self, product: str, version: int, live: InService | None) -> None:
        """Remove the version and have Triton reread; the live version is served even if that fails, unless
        the other took its place: then it is with the next ``load_again``.

        Triton reads the configuration as well, so that of the live version is written first. Without its
        file nothing is read again: Triton has the right one in memory.
        """
        self._repository.remove(product, version)
        if live is None:
            return
        if live.file is None:
            log.warning("repository_not_reread", product=product, version=version, error=_NOT_INTACT)
            return
        try:
            self.publish(product, live, keep=None)
            self._triton.load(product, TELL_WITHIN)
        except (InferenceUnavailable, PackageRejected) as error:
            log.warning("repository_not_reread", product=product, version=version, error=str(error))
