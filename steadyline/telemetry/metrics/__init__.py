"""Every metric of every service, declared once, one file a service."""
