"""What the API server takes of the chart, and what it and the chart refuse."""
