"""Every Redis key of the product; the braces keep the keys of one product on one node of a cluster."""


def prefix(product: str) -> str:
    """Return the common start of all keys of a product's banks."""
    return f"bank:{{{product}}}"


def building(product: str, token: str) -> str:
    """Return the key of a hash: entries that one writer is writing, with an expiry."""
    return f"{prefix(product)}:building:{token}"


def entries(product: str, version: int) -> str:
    """Return the key of a hash: entries by their id."""
    return f"{prefix(product)}:v{version}"


def manifest(product: str, version: int) -> str:
    """Return the key of a string: the manifest as JSON."""
    return f"{entries(product, version)}:manifest"


def pointer(product: str) -> str:
    """Return the key of a string: the current version."""
    return f"{prefix(product)}:current"


def lease(product: str) -> str:
    """Return the key of a string: who trains the product, with an expiry."""
    return f"{prefix(product)}:claim"


def fencing_token(product: str) -> str:
    """Return the key of a number: the fencing token of whoever took the lease last, without an expiry."""
    return f"{prefix(product)}:fence"
