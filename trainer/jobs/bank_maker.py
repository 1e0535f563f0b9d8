"""The maker of a product's pseudo-anomalies: it applies the detector's recipe to a snapshot of normals."""

from trainer.data.banks import BankSpec, GeneratedBank, Maker
from trainer.data.snapshot import Snapshot
from trainer.detectors.registry import detector_named
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.progress import ReportProgress
from trainer.pseudo.entry import to_entries


def pseudo_maker(on_progress: ReportProgress) -> Maker:
    """Return the maker; it reports its progress by calling ``on_progress(phase, done, total)``."""

    def make(snapshot: Snapshot, of: BankSpec) -> GeneratedBank:
        settings = FitSettings(of.detector, of.profile, of.seed)
        recipe = detector_named(of.detector).bank_recipe(of.profile)
        made = make_pseudo_anomalies(
            snapshot.pictures,
            settings,
            snapshot.held_out,
            lambda done, total, message: on_progress("bank", done, total),
        )
        entries = to_entries(made, [source.id for source in snapshot.sources])
        numbers = {**recipe.parameters(), **made.found_shares()}
        return GeneratedBank(entries, numbers, made.per_normal, made.rates)

    return make
