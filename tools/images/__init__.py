"""Building the images of the services: which extras each ships, its base by digest, the build itself."""
