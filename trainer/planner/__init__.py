"""The planner: from a folder of good parts to a detector, a grid and what they can and cannot promise."""
