"""What a mail says: rows of facts, as text and as HTML in which nothing of an alert is markup."""

import html
import re

from alerts.deliveries.facts import figures_in_words
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import AlertDigest

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_COLUMNS = ("When", "Severity", "State", "Camera", "What")


def one_line(text: str) -> str:
    """Return ``text`` without anything that would end a line, begin a header, or become another text in one.

    In a header an encoded word (RFC 2047) is read as what it encodes: a line's end, for example.
    """
    whole = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub(" ", whole).replace("=?", "= ?").strip()


def facts_of(alert: Alert) -> list[tuple[str, str]]:
    """Return names and values, one line each."""
    found = [
        ("Change", alert.change),
        ("State", alert.state),
        ("What", alert.summary),
        ("Why", alert.why),
        ("Camera", alert.camera),
        ("Product", alert.product),
        ("By", alert.who),
        ("Comment", alert.comment),
        ("When", alert.at.isoformat()),
        ("Incident", alert.incident),
    ]
    found += figures_in_words(alert)
    return [(name, one_line(text)) for name, text in found if text]


def alert_page(alert: Alert, rows: list[tuple[str, str]], pictures: list[str]) -> str:
    """Return the page of one alert; ``pictures`` are the names of what is beside it."""
    told = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
    shown = "".join(f'<p><img src="cid:{name}" alt="{name}" width="640"></p>' for name in pictures)
    return _page(alert.summary, f"<table>{told}</table>{shown}")


def digest_text(digest: AlertDigest) -> str:
    """Return a digest as text: one line an alert, and under it its incident."""
    told = [f"{', '.join(cells)}\n  incident {id}" for id, cells in _rows(digest)]
    return "\n".join([one_line(digest.title), _span(digest), "", *told, *_left_out(digest)]) + "\n"


def digest_page(digest: AlertDigest) -> str:
    """Return the page of a digest: one table with a row an alert."""
    head = "".join(f"<th>{name}</th>" for name in (*_COLUMNS, "Incident"))
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (*cells, id)) + "</tr>"
        for id, cells in _rows(digest)
    )
    rest = "".join(f"<p>{html.escape(text)}</p>" for text in _left_out(digest))
    return _page(digest.title, f"<p>{_span(digest)}</p><table><tr>{head}</tr>{body}</table>{rest}")


def _rows(digest: AlertDigest) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (
            one.incident,
            (f"{one.at:%F %T %Z}", one.severity, one.state, one.camera or "-", one_line(one.summary)),
        )
        for one in digest.alerts
    ]


def _span(digest: AlertDigest) -> str:
    return f"From {digest.since:%F %T %Z} to {digest.until:%F %T %Z}"


def _left_out(digest: AlertDigest) -> list[str]:
    return [f"{digest.left_out} more are in the list of incidents."] if digest.left_out else []


def _page(title: str, content: str) -> str:
    return f"<html><body><h1>{html.escape(one_line(title))}</h1>{content}</body></html>\n"
