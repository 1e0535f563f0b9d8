"""What the services of this machine say in their metrics."""

import urllib.request


def scrape(port: int, name: str, label: str = "") -> float:
    """Return the sum of a metric of /metrics over its labels, or over the rows with one ``label`` alone
    (``verdict="anomalous"``); raises OSError when there is no answer.
    """
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    values = [row.rsplit(" ", 1)[1] for row in text.splitlines() if row.startswith(name) and label in row]
    return sum(float(value) for value in values)
