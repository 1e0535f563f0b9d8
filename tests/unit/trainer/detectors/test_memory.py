"""The memory covers the normals and can be differentiated through."""

import torch
from torch.nn import functional

from trainer.adversarial.network import NetworkShape
from trainer.detectors.cobra.memory import EmbeddingMemory, coreset
from trainer.detectors.cobra.profile import CobraScoring
from trainer.detectors.cobra.served import CobraServed


def a_memory(size: int = 8, norm_power: float = 0.0) -> EmbeddingMemory:
    return EmbeddingMemory(CobraScoring(memory=size, weight=1.0, sharpness=20.0, norm_power=norm_power), 4)


def test_a_coreset_takes_one_of_each_cluster_before_a_second() -> None:
    centres = torch.eye(4)
    random = torch.Generator().manual_seed(0)
    rows = functional.normalize(centres.repeat(50, 1) + 0.01 * torch.randn(200, 4, generator=random), dim=1)
    assert sorted((coreset(rows, 4) % 4).tolist()) == [0, 1, 2, 3]


def test_known_normals_are_similar_and_opposites_are_not() -> None:
    memory = a_memory(1)
    memory.remember(torch.tensor([[2.0, 0, 0, 0]]))
    cells = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]).T.reshape(1, 4, 1, 2)
    torch.testing.assert_close(memory(cells), torch.tensor([[[1.0, -1.0]]]))


def test_the_smooth_maximum_is_near_the_hard_one_and_never_above() -> None:
    random = torch.Generator().manual_seed(0)
    memory = a_memory(64)
    memory.remember(torch.randn(200, 4, generator=random))
    cells = torch.randn(3, 4, 5, 5, generator=random)
    hard = (functional.normalize(cells, dim=1).permute(0, 2, 3, 1) @ memory.entries.T).amax(-1)
    smooth = memory(cells)
    assert bool((smooth <= hard + 1e-6).all())
    assert float((hard - smooth).max()) < 0.25


def test_every_entry_gets_a_gradient() -> None:
    memory = a_memory()
    memory.remember(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)))
    memory.entries.requires_grad_(True)
    (gradient,) = torch.autograd.grad(memory(torch.randn(1, 4, 3, 3)).sum(), memory.entries)
    assert bool((gradient != 0).all())


def test_a_dead_embedding_is_finite() -> None:
    assert torch.isfinite(a_memory(norm_power=1.0)(torch.zeros(1, 4, 2, 2))).all()


def test_fewer_embeddings_than_room_fill_it_all_the_same() -> None:
    memory = a_memory(8)
    memory.remember(torch.eye(4)[:3])
    torch.testing.assert_close(memory.entries.norm(dim=1), torch.ones(8))


def test_a_smaller_coreset_is_the_beginning_of_a_larger_one() -> None:
    rows = functional.normalize(torch.randn(60, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert torch.equal(coreset(rows, 16)[:8], coreset(rows, 8))


def test_one_network_is_served_with_memories_of_any_size() -> None:
    score = CobraScoring(memory=4, weight=1.0, sharpness=20.0, norm_power=0.0, shifted=True)
    served = CobraServed(NetworkShape(4, (1, 1, 1, 1), "small", cells=True), 8, score, channels=1).eval()
    normals = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    served.remember(normals, seed=0)
    larger = served.resized(16)
    larger.remember(normals, seed=0)
    assert larger.memory.entries.shape == (16, 8)
    torch.testing.assert_close(larger.memory.entries[:4], served.memory.entries)
    assert [len(memory.entries) for memory in larger.of_copies if isinstance(memory, EmbeddingMemory)] == [16]
    similar = larger.memory(larger.network.embed(larger.network.features(normals)))
    assert float(similar.max()) <= 1 + 1e-5
    for name, value in served.network.state_dict().items():
        assert torch.equal(larger.network.state_dict()[name], value)
