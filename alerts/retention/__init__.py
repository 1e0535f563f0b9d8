"""What is old enough is removed: incidents, deliveries, evidence, the audit."""
