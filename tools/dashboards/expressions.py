"""The few shapes of PromQL that the panels are made of."""

LINE = 'line=~"$line"'
WINDOW = "$__rate_interval"


def chosen(metric: str, *matchers: str) -> str:
    """Return a selector of the chosen lines."""
    return f"{metric}{{{', '.join((LINE, *matchers))}}}"


def rate(metric: str, by: str, *matchers: str) -> str:
    """Return how fast a counter grows, by labels."""
    return f"sum by ({by}) (rate({chosen(metric, *matchers)}[{WINDOW}]))"


def in_an_hour(metric: str, by: str, *matchers: str) -> str:
    """Return by how much a counter has grown in an hour, for what happens seldom."""
    return f"sum by ({by}) (increase({chosen(metric, *matchers)}[1h]))"


def quantile(share: float, metric: str, by: str = "", *matchers: str) -> str:
    """Return a quantile of a histogram, by labels."""
    labels = f"le, {by}" if by else "le"
    buckets = f"rate({chosen(f'{metric}_bucket', *matchers)}[{WINDOW}])"
    return f"histogram_quantile({share:g}, sum by ({labels}) ({buckets}))"


def mean(metric: str, by: str) -> str:
    """Return the mean of a histogram, by labels."""
    return f"{rate(f'{metric}_sum', by)} / {rate(f'{metric}_count', by)}"
