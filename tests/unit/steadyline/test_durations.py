"""A duration in a setting has a bound: none is infinite, and none overflows when a back-off doubles it."""

import math
import random

import pytest

from producers.config import ProducersSettings
from scorer.config import ScorerSettings
from steadyline.backoff import Backoff
from steadyline.errors import InvalidConfiguration
from steadyline.settings import RedisSettings, Settings, TritonSettings, read_settings
from trainer.config import TrainerSettings

DURATIONS = [
    (kind, name)
    for kind in (ProducersSettings, ScorerSettings, TrainerSettings, RedisSettings, TritonSettings)
    for name in kind.model_fields
    if name.endswith(("_seconds", "_hours"))
]


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "1e308", "1e9"])
@pytest.mark.parametrize(("kind", "name"), DURATIONS)
def test_a_duration_without_bound_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, kind: type[Settings], name: str, value: str
) -> None:
    variable = f"{kind.model_config.get('env_prefix')}{name}".upper()
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidConfiguration, match=variable):
        read_settings(kind)


def test_the_longest_durations_are_doubled_without_end() -> None:
    backoff = Backoff.of_seconds(86_400, 86_400)
    backoff.chance = random.Random(1)
    delays = [backoff.next().total_seconds() for _ in range(100)]
    assert all(43_200 <= delay <= 86_400 and math.isfinite(delay) for delay in delays)
