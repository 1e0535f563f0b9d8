"""The picture and the map of an alert, as they go into a delivery."""

from collections.abc import Callable

from steadyline.contracts.alert import Alert

# Returns an object of the store by its address; None when it is not there, too large, or the store is away:
# an alert without its picture is better than one that comes late.
ReadPicture = Callable[[str], bytes | None]


def pictures_of(alert: Alert, read: ReadPicture) -> dict[str, bytes]:
    """Return what there is of ``picture`` and ``map``."""
    facts = alert.anomaly
    uris = {} if facts is None else {"picture": facts.picture_uri, "map": facts.map_uri}
    found = {name: read(uri) for name, uri in uris.items() if uri is not None}
    return {name: data for name, data in found.items() if data}


def subtype_of(picture: bytes) -> str:
    """Return ``png`` or ``jpeg``; the store has no other."""
    return "png" if picture.startswith(b"\x89PNG") else "jpeg"
