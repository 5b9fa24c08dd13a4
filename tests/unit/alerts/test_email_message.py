"""The mail of one notification: what it says, and that no label can say more."""

from __future__ import annotations

import pytest
from tidegauge.alerts.notifiers.email_message import make_message, parse_recipients
from tidegauge.alerts.notifiers.wording import make_title
from tidegauge.errors import InvalidInput
from tidegauge.storage.outbox import ClaimedNotification

from tests.unit.alerts import notifications
from tests.unit.alerts.notifications import KEY, MOMENT, make_payload

TEXT = """\
[FIRING] critical: High latency (a-1)

summary: Latency is 2.5 s

runbook_url: https://example.org/run?a=1&b

Severity:  critical
Value:     2.5
Condition: > 2
Since:     2026-01-02 03:04:05 UTC
Query:     avg(latency{job="api"}) by (pod) > 2

Labels:
  alertname = High latency
  pod = a-1
  severity = critical
"""


def make(**changes: object) -> tuple[str, str, str]:
    """Return (all headers as sent, text, HTML) of the mail of one alert."""
    return write(notifications.make_message(make_payload(**changes)))


def write(told: ClaimedNotification) -> tuple[str, str, str]:
    """Return (all headers as sent, text, HTML)."""
    message = make_message(
        told, sender="Tide <tide@example.org>", recipients=["ops@example.org"], now=MOMENT
    )
    head = message.as_bytes().partition(b"\r\n\r\n")[0].decode()
    text, html = message.iter_parts()
    return head, text.get_content(), html.get_content()


def find_roots(head: str) -> list[str]:
    """Return the ids of the conversations that a mail belongs to."""
    unfolded = head.replace("\r\n ", " ")
    (line,) = (one for one in unfolded.split("\r\n") if one.startswith("References:"))
    return line.split()[1:]


def test_a_mail_says_what_is_known() -> None:
    head, text, html = make()

    assert text == TEXT
    assert "Subject: [FIRING] critical: High latency (a-1)\r\n" in head
    assert f"Message-ID: <{KEY}@example.org>\r\n" in head
    assert "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n" in head
    assert '<a href="https://example.org/run?a=1&amp;b">' in html


def test_an_end_is_told_in_the_conversation_of_its_beginning() -> None:
    head, _, _ = make()
    later, text, _ = make(status="resolved", ends_at=1_767_323_105_000, value=None)
    other, _, _ = make(labels={"pod": "b"})

    roots = [find_roots(one) for one in (head, later, other)]
    assert roots[0] == roots[1] != roots[2]
    assert text.startswith("[RESOLVED] critical")
    assert "Until:     2026-01-02 03:05:05 UTC" in text
    assert "Value" not in text


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: a@b.c", "x\nBcc: a@b.c", "x\rBcc: a", "x\x85\u2028Bcc: a@b"]
)
def test_no_label_adds_a_header(evil: str) -> None:
    rule = {**make_payload()["rule"], "name": evil, "severity": evil}

    head, text, _ = make(rule=rule, labels={"pod": evil}, annotations={evil: evil})

    assert not [line for line in head.split("\r\n") if line.startswith("Bcc")]
    assert "\r" not in text


def test_html_shows_markup_as_it_is_written() -> None:
    evil = "<script>alert('x')</script>\"&"
    rule = {**make_payload()["rule"], "name": evil, "query": evil}

    _, _, html = make(
        rule=rule,
        labels={"pod": evil, evil: "1"},
        annotations={evil: evil, "link": 'https://x/"onclick="y', "js": "javascript:alert(1)"},
    )

    assert "<script" not in html
    assert 'href="https://x/&quot;onclick=&quot;y"' in html
    assert 'href="javascript' not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in html


def test_several_alerts_are_counted_in_the_subject_and_told_one_by_one() -> None:
    alerts = [make_payload(labels={"job": "api", "pod": pod}) for pod in ("a", "b")]
    ended = make_payload(labels={"job": "api", "pod": "c"}, status="resolved")

    head, text, html = write(
        notifications.make_message(*alerts, ended, others=[make_payload()], left_out=2)
    )

    assert "Subject: [FIRING:2, RESOLVED:1] High latency (api)\r\n" in head
    assert "[RESOLVED] critical: High latency (api c)" in text
    assert text.count("Query:") == 3 == html.count("<h2")
    assert "Told before and still firing: 3." in text
    assert "Told before and still firing: 3." in html


def test_a_mail_of_several_belongs_to_the_conversation_of_each() -> None:
    alerts = [make_payload(labels={"pod": pod}) for pod in ("a", "b")]

    together, alone = (
        write(notifications.make_message(*alerts)),
        write(notifications.make_message(alerts[1])),
    )

    (root,) = find_roots(alone[0])
    assert root == find_roots(together[0])[1]


def test_a_mail_lists_50_alerts_and_counts_the_others() -> None:
    alerts = [make_payload(labels={"pod": str(number)}) for number in range(200)]

    _, text, html = write(notifications.make_message(*alerts))

    assert text.count("Query:") == 50 == html.count("<h2")
    assert "150 more are not listed here." in text


def test_alerts_that_say_too_much_are_counted_too() -> None:
    large = [
        make_payload(labels={"pod": pod}, annotations={"a": "x" * 400_000}) for pod in ("a", "b")
    ]

    _, text, _ = write(notifications.make_message(*large))

    assert text.count("Query:") == 1
    assert "1 more are not listed here." in text


def test_an_alert_that_others_posted_needs_no_rule() -> None:
    posted = make_payload(rule=None, labels={"alertname": "Down", "host": "a"}, value=None)

    head, text, _ = write(notifications.make_message(posted, rule_id=None))

    assert "Subject: [FIRING] Down (a)\r\n" in head
    assert "Query" not in text


def test_a_title_has_a_bounded_length() -> None:
    assert len(make_title(make_payload(labels={"a": "x" * 9999}))) == 200


def test_times_outside_the_calendar_are_shown_all_the_same() -> None:
    _, text, _ = make(starts_at=1 << 60)

    assert "Since:     1152921504606846976 ms" in text


def test_recipients_are_a_list_with_commas() -> None:
    assert parse_recipients("a@example.org, Ops <b@example.org>") == [
        "a@example.org",
        "b@example.org",
    ]


@pytest.mark.parametrize(
    "target",
    [
        "",
        "ops",
        "@",
        "a@",
        "@b",
        "a@b\r\nRCPT TO:<c@d>",
        "a@b\nc@d",
        "a b@c",
        ",".join(["a@b.c"] * 51),
    ],
)
def test_what_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(InvalidInput, match="target:"):
        parse_recipients(target)
