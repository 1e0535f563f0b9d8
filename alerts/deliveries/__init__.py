"""From a change in the database to the people and machines that subscribe to it: at least once, in order."""
