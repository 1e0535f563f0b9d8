"""Which of Apprise's services a subscription may name.

Apprise makes its connections itself, so that no guard sees each of them. Hence only what is listed here is
spoken to: services whose host is the vendor's own, and, where a setting allows addresses within the plant,
some whose host is for the user to choose. What runs programs or writes files is in neither list.
"""

import re
from urllib.parse import parse_qsl, urlsplit

# Tested against Apprise itself: none of them takes its host from the address.
VENDORS_OWN = frozenset(
    (
        *("slack", "discord", "tgram", "gchat", "webex", "wxteams", "pover", "pbul", "prowl", "join"),
        *("opsgenie", "victorops", "splunk", "squadcast", "ilert", "spike", "twilio"),
        *("flock", "line", "lark", "feishu", "dingtalk"),
    )
)
# Workflows of Microsoft Teams: the host is a part of the address, and must be one of Microsoft's.
WORKFLOWS = frozenset(("workflow", "workflows"))
WORKFLOW_HOSTS = (".logic.azure.com", ".api.powerplatform.com")
# The host is for the user to choose.
SELF_HOSTED = frozenset(
    (
        *("json", "jsons", "xml", "xmls", "form", "forms"),
        *("ntfy", "ntfys", "gotify", "gotifys", "mmost", "mmosts", "rocket", "rockets", "matrix", "matrixs"),
    )
)
SERVICES = VENDORS_OWN | WORKFLOWS | SELF_HOSTED

# What an address may not set: files and addresses that would be read here, and what we decide ourselves.
NOT_SET = frozenset(
    ("template", "attach", "verify", "redirect", "cto", "rto", "retry", "wait", "store", "overflow", "format")
)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def check_address(address: str) -> str:
    """Return ``address``; raises ValueError, which repeats none of it, when it may not be used."""
    if not _PRINTABLE.fullmatch(address):
        raise ValueError("an address has printable ASCII characters only, and no spaces")
    service, _, rest = address.partition("://")
    if service.lower() not in SERVICES or not rest:
        raise ValueError(f"an address is SERVICE://…, and the services are {', '.join(sorted(SERVICES))}")
    if service != service.lower():
        raise ValueError("the service is written in lower case")
    query = rest.partition("?")[2]
    named = {name.strip().lower() for name, _ in parse_qsl(query.replace("?", "&"), keep_blank_values=True)}
    if refused := sorted(named & NOT_SET):
        raise ValueError(f"an address does not set {', '.join(refused)}")
    if service in WORKFLOWS:
        _check_workflow(address)
    return address


def service_of(address: str) -> str:
    """Return the service of an address that was checked."""
    return address.partition("://")[0]


def _check_workflow(address: str) -> None:
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if "@" in parts.netloc or "\\" in parts.netloc or not host.endswith(WORKFLOW_HOSTS):
        raise ValueError(f"the host of a workflow ends with {' or '.join(WORKFLOW_HOSTS)}")
