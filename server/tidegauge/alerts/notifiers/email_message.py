"""Makes the mail of one message: text and HTML, whatever the labels hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, parseaddr
from html import escape
from typing import Any

import orjson

from tidegauge.alerts.notifiers.chart import HEIGHT_PX, WIDTH_PX, Chart
from tidegauge.alerts.notifiers.wording import make_facts, make_subject, make_title, to_one_line
from tidegauge.config import parse_address
from tidegauge.errors import InvalidInput
from tidegauge.storage.outbox import ClaimedNotification

MAX_RECIPIENTS = 50
# Alerts of one mail that are told in full; the others are counted.
MAX_FULL = 50
MAX_FULL_CHARS = 500_000
# Conversations that one mail belongs to.
MAX_ROOTS = 20
_COLOURS = {"firing": "#b3261e", "repeat": "#b3261e", "resolved": "#1a7f37"}
_CELL = "padding:2px 12px 2px 0;vertical-align:top;"


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart as a part of a mail.

    Args:
        id: its Content-ID, by which the HTML names it.
        chart: the chart.
    """

    id: str
    chart: Chart


NO_PICTURES: Mapping[int, Picture] = {}


def parse_recipients(target: str) -> list[str]:
    """Return the addresses of a list with commas.

    Raises:
        InvalidInput: there is none, too many, or one that is none.
    """
    if not target.isprintable():
        raise InvalidInput("target: an address has no line breaks or other control characters")
    found = [address for _, address in getaddresses([target])]
    for address in found:
        try:
            parse_address(address)
        except ValueError as fault:
            raise InvalidInput(f"target: {fault}; addresses with commas are wanted") from fault
    if not 1 <= len(found) <= MAX_RECIPIENTS:
        raise InvalidInput(f"target: {len(found)} addresses, from 1 to {MAX_RECIPIENTS} are wanted")
    return found


def make_message(
    told: ClaimedNotification,
    *,
    sender: str,
    recipients: list[str],
    now: datetime,
    charts: Sequence[Chart | None] = (),
) -> EmailMessage:
    """Return the mail of one message; at each attempt it has the same Message-ID.

    Args:
        told: what is told.
        sender: an address, with or without a name before it.
        recipients: addresses.
        now: for the Date header.
        charts: of its first alerts, in their order.
    """
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    domain = address.rpartition("@")[2] or "localhost"
    message["Subject"] = make_subject(told.alerts)
    message["From"] = _address(address, to_one_line(name))
    message["To"] = [_address(recipient) for recipient in recipients]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{told.idempotency_key}@{domain}>"
    # Mail programs show what has one root as one conversation: firing, its repeats, its end.
    roots = [_conversation(one) for one in told.alerts[:MAX_ROOTS]]
    message["References"] = " ".join(f"<{root}@{domain}>" for root in roots)
    message["Auto-Submitted"] = "auto-generated"
    message["Idempotency-Key"] = told.idempotency_key
    message.set_content(make_text(told))
    pictures = {
        number: Picture(f"{told.idempotency_key}.{number}@{domain}", chart)
        for number, chart in enumerate(charts[: len(_choose_full(told.alerts))])
        if chart is not None
    }
    message.add_alternative(make_html(told, pictures), subtype="html")
    (_, html) = message.iter_parts()
    assert isinstance(html, EmailMessage)
    for one in pictures.values():
        html.add_related(one.chart.png, "image", "png", cid=f"<{one.id}>", disposition="inline")
    return message


def make_text(told: ClaimedNotification) -> str:
    """Return the body for programs that show text only."""
    shown = _choose_full(told.alerts)
    parts = [_write_alert(one) for one in shown]
    if len(told.alerts) > 1:
        parts.insert(0, make_subject(told.alerts))
    rest = _write_rest(told, len(shown))
    return _clean(f"\n\n{'-' * 60}\n\n".join([*parts, *rest]) + "\n")


def make_html(told: ClaimedNotification, pictures: Mapping[int, Picture] = NO_PICTURES) -> str:
    """Return the body for programs that show HTML; it loads nothing from anywhere.

    Args:
        told: what is told.
        pictures: what stands beside it in the mail, by the number of its alert, from 0.
    """
    shown = _choose_full(told.alerts)
    parts = [_write_alert_html(one, pictures.get(number)) for number, one in enumerate(shown)]
    if len(told.alerts) > 1:
        parts.insert(0, f"<h1>{_html(make_subject(told.alerts))}</h1>")
    parts += [f"<p>{_html(one)}</p>" for one in _write_rest(told, len(shown))]
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"></head>'
        f'<body style="font-family:sans-serif">{"<hr>".join(parts)}</body></html>\n'
    )


def _choose_full(alerts: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the first of them, as many as a mail has room for; at least one."""
    room, count = MAX_FULL_CHARS, 0
    for one in alerts[:MAX_FULL]:
        room -= len(orjson.dumps(one))
        if count and room < 0:
            break
        count += 1
    return alerts[:count]


def _write_rest(told: ClaimedNotification, shown: int) -> list[str]:
    rest, others = len(told.alerts) - shown, len(told.others) + told.left_out
    lines = [f"{rest} more are not listed here."] if rest else []
    return [*lines, f"Told before and still firing: {others}."] if others else lines


def _write_alert(payload: Mapping[str, Any]) -> str:
    lines = [make_title(payload), ""]
    for name, text in payload["annotations"].items():
        lines += [f"{name}: {text}", ""]
    lines += [f"{name + ':':<11}{text}" for name, text in make_facts(payload)]
    lines += ["", "Labels:"]
    lines += [f"  {name} = {to_one_line(str(text))}" for name, text in _labels(payload)]
    return "\n".join(lines)


def _write_alert_html(payload: Mapping[str, Any], picture: Picture | None) -> str:
    colour = _COLOURS.get(payload["status"], "#444")
    shown = "" if picture is None else _show(picture)
    annotations = "".join(
        f"<p><b>{_html(name)}</b><br>{_link(str(text))}</p>"
        for name, text in payload["annotations"].items()
    )
    return (
        f'<h2 style="color:{colour}">{_html(make_title(payload))}</h2>{annotations}'
        f"{_table(make_facts(payload))}{shown}<h3>Labels</h3>{_table(_labels(payload))}"
    )


def _show(picture: Picture) -> str:
    return (
        f'<p><img src="cid:{_html(picture.id)}" width="{WIDTH_PX}" height="{HEIGHT_PX}" '
        f'alt="{_html(picture.chart.alt)}"></p>'
    )


def _address(address: str, name: str = "") -> Address:
    # By its parts: as a whole it may hold ASCII only.
    user, _, domain = address.rpartition("@")
    return Address(name, username=user, domain=domain)


def _labels(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((str(name), str(text)) for name, text in payload["labels"].items())


def _table(rows: list[tuple[str, str]]) -> str:
    cells = (
        f'<tr><td style="{_CELL}color:#666">{_html(name)}</td>'
        f'<td style="{_CELL}font-family:monospace">{_html(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _link(text: str) -> str:
    shown = _html(text).replace("\n", "<br>")
    one_word = text.strip()
    if one_word.startswith(("https://", "http://")) and len(one_word.split()) == 1:
        return f'<a href="{_html(one_word)}">{shown}</a>'
    return shown


def _html(text: str) -> str:
    return escape(_clean(text), quote=True)


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in text)


def _conversation(payload: Mapping[str, Any]) -> str:
    rule = payload.get("rule") or {}
    known = [rule.get("id"), payload["labels"], payload["starts_at"]]
    return hashlib.sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
