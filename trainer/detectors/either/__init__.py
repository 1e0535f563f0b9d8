"""Either asks two halves in one graph, frozen features and a net trained under attack: either may speak."""
