"""The demonstration: the whole product on one machine, as its users run it, with an account at the end."""
