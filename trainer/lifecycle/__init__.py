"""A model's way from candidate to live and back: leases, states, the gate, promotion. It imports no torch."""
