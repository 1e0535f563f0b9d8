"""The chart on a real control plane."""
