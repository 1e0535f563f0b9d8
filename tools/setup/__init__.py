"""Set-up, run by the system's Python with nothing installed: environments, Kafka's jars, system packages."""
