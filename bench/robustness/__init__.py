"""How good is every detector, clean, in bad light and under attack: one command, one table."""
