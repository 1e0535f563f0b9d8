"""Attacks of other shapes than l_inf: which of them does a model withstand, and which is its worst?"""
