"""The bench of shift: one frozen threshold, and what light, lens, belt and encoder then do to a detector."""
