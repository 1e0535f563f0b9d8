"""What a user of Redis needs for the banks and leases of one line, and nothing more."""

from typing import Literal, get_args

Duty = Literal["writer", "reader"]
DUTIES: tuple[Duty, ...] = get_args(Duty)

_LOOK = ("get", "strlen", "hlen", "hkeys", "hstrlen", "hmget", "time", "info", "ping", "select")
_CHANGE = (
    *("set", "hset", "del", "unlink", "rename", "exists", "expire", "pexpire", "persist", "pttl"),
    *("eval", "evalsha", "script|load"),
)


def rights(line: str, duty: Duty) -> str:
    """Return the rules of a user as Redis' ACL has them, without a name and a password.

    The trainer and ``steadyline bank rebuild`` write; the alerts, ``steadyline bank show`` and the doctor
    read. A script runs under the rights of whoever calls it, so each command in one of ours is in the list.
    """
    keys, commands = ("~", (*_LOOK, *_CHANGE)) if duty == "writer" else ("%R~", _LOOK)
    allowed = " ".join(f"+{command}" for command in commands)
    return f"resetkeys {keys}bank:{{{line}/* resetchannels -@all {allowed}"
