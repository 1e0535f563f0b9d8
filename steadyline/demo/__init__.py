"""The demonstration runs the whole product on one machine, like its users, with an account at the end."""
