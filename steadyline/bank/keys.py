"""Every Redis key of the product; the braces keep the keys of one product on one node of a cluster."""


def prefix(product: str) -> str:
    """Return what all keys of a product's banks begin with."""
    return f"bank:{{{product}}}"


def building(product: str, token: str) -> str:
    """Hash: entries being written by one writer, with an expiry."""
    return f"{prefix(product)}:building:{token}"


def entries(product: str, version: int) -> str:
    """Hash: entry id → entry."""
    return f"{prefix(product)}:v{version}"


def manifest(product: str, version: int) -> str:
    """String: the manifest as JSON."""
    return f"{entries(product, version)}:manifest"


def pointer(product: str) -> str:
    """String: the current version."""
    return f"{prefix(product)}:current"


def lease(product: str) -> str:
    """String: who trains the product, with an expiry."""
    return f"{prefix(product)}:claim"
