"""The training itself: pairs, adversaries, one step of the optimizer, the average, the guard."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.checkpoint import Checkpoints
from trainer.detectors.cobra.batch import Batch, Pairs
from trainer.detectors.cobra.fold import folded
from trainer.detectors.cobra.guard import SLACK, Guard
from trainer.detectors.cobra.loss import contrastive_loss
from trainer.detectors.cobra.memory import Memory
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.objective import Attacked, Outputs, class_loss, outputs, rows
from trainer.detectors.cobra.optimizer import epsilon, learning_rate, make_optimizer
from trainer.detectors.cobra.precision import mixed
from trainer.detectors.cobra.profile import Profile
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.cobra.state import State
from trainer.detectors.protocol import FitInput, Progress

CHECKPOINT_EVERY = 40  # steps; about 20 s on one core, of which writing 7 MB is a hundredth
MEMORY_ROWS = 16_384  # embeddings of normals that the coreset is chosen from
GRADIENT_NORM = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained, and for how long."""

    profile: Profile
    steps: int
    seed: int


class Training:
    """One training. ``run`` goes on from wherever ``state`` is."""

    def __init__(self, given: FitInput, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        channels, side = given.normals.shape[3], given.normals.shape[1]
        self.normals = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
        self._plan, self._profile = plan, plan.profile
        network = Network(plan.profile.shape, channels).to(memory_format=torch.channels_last)
        self.state = State.start(network, make_optimizer(plan.profile, network))
        self._network = network
        with torch.no_grad():
            grid = network.features(torch.zeros(1, channels, side, side)).shape[2]
        self._guard = Guard(self.normals, given.bank, plan.seed)
        self._pairs = Pairs(self.normals, self._guard.rest_of_bank(), grid, plan.profile.light)

    def run(self, checkpoints: Checkpoints | None, progress: Progress) -> CobraServed:
        """Train to the end and return the served module; resumes from the newest checkpoint."""
        state, steps = self.state, self._plan.steps
        found = checkpoints.newest() if checkpoints is not None else None
        if found is not None:
            state.resume(found)
        while state.step < steps:
            loss = self._step()
            state.step += 1
            if self._guard.is_due(state.step, steps):
                state.losses.append(loss)
                state.keep_best(self._guard.figure(self.served()), SLACK)
            progress(state.step, steps, self._message(loss))
            if checkpoints is not None and (state.step % CHECKPOINT_EVERY == 0 or state.step == steps):
                checkpoints.write(state.checkpoint())
        state.average.load_state_dict(state.best)
        return self.served()

    def served(self) -> CobraServed:
        """Return the average as it would be served, with a memory of its own embeddings of the normals."""
        channels = self.normals.shape[1]
        served = CobraServed(self._profile.shape, self._profile.score, channels).eval()
        assert isinstance(self.state.average, Network)
        served.network = folded(self.state.average)
        fill_memory(served.memory, served.network, self.normals, self._plan.seed)
        return served.to(memory_format=torch.channels_last)

    def _step(self) -> float:
        plan, profile, state = self._plan, self._profile, self.state
        rate = learning_rate(profile, state.step, plan.steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batch = self._pairs.draw(plan.seed, state.step, profile.batch, profile.rows_per_pair)
        random = torch.Generator().manual_seed((plan.seed << 32) + state.step)
        size = epsilon(profile, state.step, plan.steps)
        with mixed(profile.mixed):
            attacked = self._attacks(batch, size, random)
            loss = self._loss(batch, attacked)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), GRADIENT_NORM)
        state.optimizer.step()
        state.follow(profile.average)
        return float(loss.detach())

    def _attacks(self, batch: Batch, size: float, random: torch.Generator) -> list[Tensor]:
        """The network is in eval mode while it is attacked, and only the input has a gradient."""
        attacked = Attacked(folded(self._network), self._profile)
        return [attacked.view(each, batch, size, random) for each in self._profile.adversaries]

    def _loss(self, batch: Batch, attacked: list[Tensor]) -> Tensor:
        profile, weights = self._profile, self._profile.weights
        clean = [batch.first, batch.second] if profile.clean_second_view else [batch.first]
        views = outputs(self._network, torch.cat([*clean, *attacked])).chunk(len(clean) + len(attacked))
        loss = torch.zeros(())
        if weights.contrast:
            embedded = torch.stack([rows(view, batch) for view in views])
            loss = weights.contrast * contrastive_loss(
                embedded, len(clean), profile.temperature, profile.switch
            )
        judged: list[Outputs] = [
            view
            for view, adversary in zip(views[len(clean) :], profile.adversaries, strict=True)
            if adversary.classes
        ]
        for share, part in ((weights.clean, views[: len(clean)]), (weights.attacked, judged)):
            for view in part:
                loss = loss + weights.classes * share / len(part) * class_loss(view, batch, weights.cells)
        return loss

    def _message(self, loss: float) -> str:
        guarded = self.state.guarded
        return f"loss {loss:.3f}" + (f", guard {guarded[-1]:.3f}" if guarded else "")

    def figures(self) -> dict[str, float]:
        """Return label-free figures of the training."""
        return {
            "guard_auroc": max(self.state.guarded),
            "guard_last_auroc": self.state.guarded[-1],
            "last_loss": self.state.losses[-1],
            "steps": float(self._plan.steps),
        }


def fill_memory(memory: Memory, network: Network, normals: Tensor, seed: int) -> None:
    """Let ``memory`` remember a coreset of cells of ``normals`` (N, C, S, S), as they are and flipped."""
    random = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    with torch.no_grad():
        for part in torch.split(normals, 64):
            for seen in (part, part.flip(-1), part.flip(-2), part.flip(-1).flip(-2)):
                cells = network.embed(network.judged(network.features(seen)))
                found.append(cells.permute(0, 2, 3, 1).flatten(0, 2))
    every = torch.cat(found)
    chosen = torch.randperm(len(every), generator=random)[:MEMORY_ROWS]
    memory.remember(every[chosen.sort().values])
