"""From the topics into the database: records decoded and believed, taken in order, each once."""
