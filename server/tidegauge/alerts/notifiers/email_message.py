"""Makes the mail of one notification: text and HTML, whatever the labels hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, parseaddr
from html import escape
from typing import Any

import orjson

from tidegauge.alerts.notifiers.wording import make_facts, make_title, to_one_line
from tidegauge.config import parse_address
from tidegauge.errors import InvalidInput

MAX_RECIPIENTS = 50
_COLOURS = {"firing": "#b3261e", "repeat": "#b3261e", "resolved": "#1a7f37"}
_CELL = "padding:2px 12px 2px 0;vertical-align:top;"


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
    payload: Mapping[str, Any], *, sender: str, recipients: list[str], key: str, now: datetime
) -> EmailMessage:
    """Return the mail of one notification.

    Args:
        payload: see `storage.outbox.NewNotification`.
        sender: an address, with or without a name before it.
        recipients: addresses.
        key: the idempotency key; the same mail has the same Message-ID at each attempt.
        now: for the Date header.
    """
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    domain = address.rpartition("@")[2] or "localhost"
    message["Subject"] = make_title(payload)
    message["From"] = _address(address, to_one_line(name))
    message["To"] = [_address(recipient) for recipient in recipients]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{key}@{domain}>"
    # Mail programs show what has one root as one conversation: firing, its repeats, its end.
    message["References"] = f"<{_conversation(payload)}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Idempotency-Key"] = key
    message.set_content(make_text(payload))
    message.add_alternative(make_html(payload), subtype="html")
    return message


def make_text(payload: Mapping[str, Any]) -> str:
    """Return the body for programs that show text only."""
    lines = [make_title(payload), ""]
    for name, text in payload["annotations"].items():
        lines += [f"{name}: {text}", ""]
    lines += [f"{name + ':':<11}{text}" for name, text in make_facts(payload)]
    lines += ["", "Labels:"]
    lines += [f"  {name} = {to_one_line(str(text))}" for name, text in _labels(payload)]
    return _clean("\n".join(lines) + "\n")


def make_html(payload: Mapping[str, Any]) -> str:
    """Return the body for programs that show HTML; it loads nothing from anywhere."""
    colour = _COLOURS.get(payload["status"], "#444")
    annotations = "".join(
        f"<p><b>{_html(name)}</b><br>{_link(str(text))}</p>"
        for name, text in payload["annotations"].items()
    )
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"></head>'
        '<body style="font-family:sans-serif">'
        f'<h2 style="color:{colour}">{_html(make_title(payload))}</h2>{annotations}'
        f"{_table(make_facts(payload))}<h3>Labels</h3>{_table(_labels(payload))}</body></html>\n"
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
    known = [payload["rule"]["id"], payload["labels"], payload["starts_at"]]
    return hashlib.sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
