"""Show the audit as JSON and as a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.table import Table

from steadyline.ops.audit.account import EpochFates
from steadyline.ops.audit.gather import Gathered
from steadyline.ops.audit.ranges import count, each
from steadyline.ops.audit.sighting import Epoch
from steadyline.terminal import PlainConsole, styled


@dataclass(frozen=True, slots=True)
class Audit:
    """All accounts, and everything that belongs to no frame."""

    accounts: list[EpochFates]
    nameless_letters: int = 0
    foreign_scores: int = 0
    foreign_statuses: int = 0

    @staticmethod
    def of(gathered: Gathered) -> "Audit":
        """Return the audit of everything that was read."""
        return Audit(
            gathered.accounts(),
            gathered.nameless_letters,
            gathered.foreign_scores,
            gathered.foreign_statuses,
        )

    @property
    def is_intact(self) -> bool:
        """True when the identity holds for every epoch.

        Foreign messages break nothing: a frame whose score is among them has none, and so is missing.
        """
        return all(account.is_intact for account in self.accounts)

    def totals(self) -> dict[str, int]:
        """Return the sums over all epochs."""
        rows = [_numbers(account) for account in self.accounts]
        return {name: sum(row[name] for row in rows) for name in _numbers(EpochFates(Epoch("", 0)))}

    def as_json(self, most: int) -> dict[str, Any]:
        """Return everything as JSON values; each list names at most ``most`` frames."""
        dropped: Counter[str] = Counter()
        dead: Counter[str] = Counter()
        for account in self.accounts:
            dropped.update(account.dropped)
            dead.update(account.dead_lettered)
        return {
            "intact": self.is_intact,
            "totals": self.totals(),
            "dropped": dict(dropped),
            "dead_lettered": dict(dead),
            "dead_letters_without_frame": self.nameless_letters,
            "foreign": {"scores": self.foreign_scores, "statuses": self.foreign_statuses},
            "cameras": [_entry(account, most) for account in self.accounts],
        }

    def show(self, console: PlainConsole, most: int) -> None:
        """Print the table, then every frame that is not accounted for."""
        console.print(self._table() if self.accounts else "no camera has been seen yet")
        for account in self.accounts:
            for line in _faults(account, most):
                console.print(line)
        for amount, what in (
            (self.nameless_letters, "dead letters name no frame: somebody else writes to the frames topic"),
            (
                self.foreign_scores,
                "messages on the scores topic are by no scorer: somebody else writes to it",
            ),
            (
                self.foreign_statuses,
                "messages on the camera-status topic are by no producer: somebody else writes to it",
            ),
        ):
            if amount:
                console.print(f"{amount} {what}")
        verdict = ("the identity holds", "green") if self.is_intact else ("the identity is broken", "red")
        console.print(styled(verdict, f": {sentence(self.totals())}"))

    def _table(self) -> Table:
        table = Table()
        columns = ("captured", "scored", "dropped", "dead-lettered", "in flight", "newer", "expired")
        for name in ("camera", "epoch", "state"):
            table.add_column(name)
        for name in (*columns, "missing", "doubled", "out of order"):
            table.add_column(name, justify="right")
        for account in self.accounts:
            row = _numbers(account)
            cells = [str(row[name.replace("-", "_").replace(" ", "_")]) for name in columns]
            bad = [str(row[name]) for name in ("missing", "doubled", "out_of_order")]
            marked = [text if text == "0" else styled((text, "red")) for text in bad]
            names = (account.epoch.camera, str(account.epoch.number), account.state)
            table.add_row(*names, *cells, *marked)
        return table


def sentence(totals: dict[str, int]) -> str:
    """Return the accounting identity with its numbers."""
    expired = f" + expired {totals['expired']}" if totals["expired"] else ""
    return (
        f"captured {totals['captured']} = scored {totals['scored']} + dropped {totals['dropped']} + "
        f"dead-lettered {totals['dead_lettered']} + in flight {totals['in_flight']}{expired}; "
        f"missing {totals['missing']}, doubled {totals['doubled']}, out of order {totals['out_of_order']}"
    )


def _numbers(account: EpochFates) -> dict[str, int]:
    return {
        "captured": account.captured,
        "scored": account.scored,
        "dropped": sum(account.dropped.values()),
        "dead_lettered": sum(account.dead_lettered.values()),
        "in_flight": account.in_flight,
        "expired": account.expired,
        "newer": account.newer,
        "missing": count(account.missing),
        "doubled": len(account.doubled),
        "out_of_order": len(account.out_of_order),
    }


def _entry(account: EpochFates, most: int) -> dict[str, Any]:
    numbers: dict[str, Any] = _numbers(account)
    epoch = account.epoch
    doubled = [
        {"frame": _name(epoch, sequence), "fates": fates}
        for sequence, fates in islice(sorted(account.doubled.items()), most)
    ]
    return {
        "camera": epoch.camera,
        "epoch": epoch.number,
        "product": account.product,
        "state": account.state,
        "intact": account.is_intact,
        **numbers,
        "dropped": account.dropped,
        "dead_lettered": account.dead_lettered,
        "in_flight": {"pending": account.pending, "waiting": account.waiting},
        "missing": _named(epoch, numbers["missing"], each(account.missing), most),
        "doubled": {"count": numbers["doubled"], "frames": doubled},
        "out_of_order": _named(epoch, numbers["out_of_order"], account.out_of_order, most),
        "problems": account.problems,
    }


def _named(epoch: Epoch, amount: int, sequences: Iterable[int], most: int) -> dict[str, Any]:
    return {"count": amount, "frames": [_name(epoch, sequence) for sequence in islice(sequences, most)]}


def _faults(account: EpochFates, most: int) -> list[str]:
    """Return one line per fault, and one for faults that are not listed."""
    epoch = account.epoch
    numbers = _numbers(account)
    lines = [f"{epoch.camera}/{epoch.number}: the producer says: {problem}" for problem in account.problems]
    groups: Sequence[tuple[str, Iterable[str]]] = (
        ("missing", (f"missing {_name(epoch, sequence)}" for sequence in each(account.missing))),
        (
            "doubled",
            (
                f"doubled {_name(epoch, sequence)}: {fates}"
                for sequence, fates in sorted(account.doubled.items())
            ),
        ),
        ("out_of_order", (f"out of order {_name(epoch, sequence)}" for sequence in account.out_of_order)),
    )
    for kind, texts in groups:
        named = list(islice(texts, most))
        lines += named
        if numbers[kind] > len(named):
            lines.append(f"... and {numbers[kind] - len(named)} more {kind.replace('_', ' ')} (--all)")
    return lines


def _name(epoch: Epoch, sequence: int) -> str:
    return f"{epoch.camera}/{epoch.number}/{sequence}"
