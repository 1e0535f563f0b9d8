"""What of the Helm chart is made from the code, and how helm is run on it."""
