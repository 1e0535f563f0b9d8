"""Checks of an evaluation's figures against one another, which need no attack of their own."""

from collections.abc import Mapping

from trainer.evaluation.attack_plan import AttackResult
from trainer.evaluation.sanity import BLIND_NOISE, Check

CERTIFICATE_SLACK = 1e-4  # ties that float32 decides either way


def not_above_clean(clean: float, attacked: Mapping[str, float]) -> Check:
    """Check that no attacked AUROC, by its name, lies above the clean one."""
    lower = all(value <= clean for value in attacked.values())
    return Check("robust is not above clean", lower, {"clean": clean, **attacked})


def noise_is_about_clean(clean: float, noise: float) -> Check:
    """Check that random signs of an attack's size change little, as no search stands behind them."""
    holds = abs(noise - clean) <= BLIND_NOISE
    return Check("random noise is about clean", holds, {"clean": clean, "noise": noise})


def certificate_is_kept(proven: Mapping[str, float], attacked: Mapping[str, AttackResult]) -> Check:
    """Check that every attack stayed above what is proven of its size."""
    holds = all(attacked[name].lowest >= floor - CERTIFICATE_SLACK for name, floor in proven.items())
    figure = {
        **{f"{name} proven": value for name, value in proven.items()},
        **{f"{name} attacked": found.lowest for name, found in attacked.items()},
    }
    return Check("no attack does more than the certificate allows", holds, figure)
