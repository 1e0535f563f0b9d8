"""Changes of light in three severities: what lamps, exposure times and a camera's settings do to its
pictures.

They follow the rules of ``trainer.evaluation.corruption``: pictures (N, H, W, C) uint8 and a severity in, the
same shape out, cut at 0 and 255 as a camera cuts, and the same each time. Together with the corruptions they
are the shifts of the bench of shift. The idea of one frozen threshold under other light is that of "The MVTec
AD 2 Dataset" (Heckler-Kram et al., 2025, arXiv:2503.21622).
"""

from collections.abc import Mapping

import numpy as np

from trainer.arrays import Pictures
from trainer.evaluation.corruption import CORRUPTIONS, Corruption, Severity, Strength, as_pictures

_BRIGHT = Strength((1.1, 1.2, 1.4))  # times the light that there was
_STRAY = Strength(
    (0.04, 0.08, 0.15)
)  # light that comes from elsewhere, or a black level that is set too high
_LOST = Strength((0.04, 0.08, 0.15))  # a black level that is set too low
_GAMMA_DARK = Strength((1.2, 1.4, 1.8))
_GAMMA_BRIGHT = Strength((0.85, 0.7, 0.55))
_BALANCE = Strength((0.05, 0.1, 0.2))  # red gains so much of its light, blue loses it
_GRADIENT = Strength((0.12, 0.25, 0.4))  # the left edge loses so much of its light, the right edge gains it


def bright(pictures: Pictures, severity: Severity) -> Pictures:
    """Add light in proportion."""
    return as_pictures(pictures * _BRIGHT.at(severity))


def stray_light(pictures: Pictures, severity: Severity) -> Pictures:
    """Add the same light everywhere."""
    return as_pictures(pictures + 255 * _STRAY.at(severity))


def lost_light(pictures: Pictures, severity: Severity) -> Pictures:
    """Take the same light away everywhere."""
    return as_pictures(pictures - 255 * _LOST.at(severity))


def gamma_dark(pictures: Pictures, severity: Severity) -> Pictures:
    """Darken the middle tones."""
    return as_pictures(255 * (pictures / 255) ** _GAMMA_DARK.at(severity))


def gamma_bright(pictures: Pictures, severity: Severity) -> Pictures:
    """Brighten the middle tones."""
    return as_pictures(255 * (pictures / 255) ** _GAMMA_BRIGHT.at(severity))


def white_balance(pictures: Pictures, severity: Severity) -> Pictures:
    """Make the light warmer; a gray picture, which has no colour to lose, stays as it is."""
    if pictures.shape[3] != 3:
        return pictures
    share = _BALANCE.at(severity)
    return as_pictures(pictures * np.array([1 + share, 1, 1 - share]))


def gradient(pictures: Pictures, severity: Severity) -> Pictures:
    """Light the pictures from the right."""
    share = _GRADIENT.at(severity)
    ramp = np.linspace(1 - share, 1 + share, pictures.shape[2])
    return as_pictures(pictures * ramp[None, None, :, None])


LIGHT: Mapping[str, Corruption] = {
    "bright": bright,
    "stray_light": stray_light,
    "lost_light": lost_light,
    "gamma_dark": gamma_dark,
    "gamma_bright": gamma_bright,
    "white_balance": white_balance,
    "gradient": gradient,
}

SHIFTS: Mapping[str, Corruption] = {**CORRUPTIONS, **LIGHT}
