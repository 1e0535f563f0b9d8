"""Who is told of an incident that nobody takes."""
