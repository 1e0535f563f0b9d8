"""Measures every detector on clean pictures, in bad light and under attack: one command gives one table."""
