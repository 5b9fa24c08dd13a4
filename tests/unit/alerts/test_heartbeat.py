"""The heartbeat, to a real receiver: there while all is well, and away when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger
from tidegauge.alerts.heartbeat import Heartbeat
from tidegauge.alerts.notifiers.posting import Poster
from tidegauge.config import Config, NotifyConfig
from tidegauge.errors import ConfigError, InvalidInput
from tidegauge.observability.meters import Meters
from tidegauge.services.parts import Tools
from tidegauge.services.pulse import Pulse
from tidegauge.services.upkeep import make_heartbeat

from tests.support.receivers import Receiver, run_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


class Watched:
    """A heartbeat, and what it may depend on.

    Attributes:
        leads: whether it is this one's to send.
        trouble: what is not well.
        outcomes: what was counted.
        lines: what was logged.
    """

    def __init__(self, url: str, *, allow: str = "127.0.0.0/8") -> None:
        self.leads, self.trouble = True, ""
        self.outcomes: list[str] = []
        self._logger = CapturingLogger()
        log: Any = structlog.wrap_logger(self._logger, processors=[lambda _l, _m, event: event])
        self.heartbeat = Heartbeat(
            url,
            poster=Poster(NotifyConfig(webhook_allow_private=allow)),
            every_s=60,
            timeout_s=5,
            leads=lambda: self.leads,
            find_trouble=lambda: self.trouble,
            on_outcome=self.outcomes.append,
            log=log,
        )

    @property
    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        return [(call.method_name, dict(call.kwargs)) for call in self._logger.calls]


def test_it_is_posted_while_all_is_well(receiver: Receiver) -> None:
    watched = Watched(f"{receiver.url}/ping/secret-id")

    assert [watched.heartbeat.beat(), watched.heartbeat.beat()] == ["sent", "sent"]

    assert [one.path for one in receiver.posted] == ["/ping/secret-id"] * 2
    assert watched.outcomes == ["sent", "sent"]
    assert watched.lines == []


def test_a_standby_sends_and_counts_nothing(receiver: Receiver) -> None:
    watched = Watched(receiver.url)
    watched.leads = False

    assert watched.heartbeat.beat() == ""

    assert (receiver.posted, watched.outcomes) == ([], [])


def test_it_is_withheld_while_something_is_not_well(receiver: Receiver) -> None:
    watched = Watched(receiver.url)
    watched.trouble = "rules: unhealthy"
    assert [watched.heartbeat.beat(), watched.heartbeat.beat()] == ["withheld", "withheld"]
    assert receiver.posted == []

    watched.trouble = ""
    assert watched.heartbeat.beat() == "sent"

    assert watched.lines == [
        ("error", {"event": "the heartbeat is withheld", "reason": "rules: unhealthy"}),
        ("info", {"event": "the heartbeat is sent again"}),
    ]


def test_a_failure_is_logged_once_without_the_path_and_counted_each_time(
    receiver: Receiver,
) -> None:
    receiver.answers["/secret-id"] = (500, {}, b"no")
    watched = Watched(f"{receiver.url}/secret-id")

    assert [watched.heartbeat.beat(), watched.heartbeat.beat()] == ["failed", "failed"]

    assert watched.outcomes == ["failed", "failed"]
    ((method, line),) = watched.lines
    assert method == "error"
    assert "500" in line["reason"]
    assert "secret-id" not in line["reason"]


def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver) -> None:
    receiver.answers["/a"] = (308, {"Location": f"{receiver.url}/b"}, b"")

    assert Watched(f"{receiver.url}/a").heartbeat.beat() == "failed"

    assert [one.path for one in receiver.posted] == ["/a"]


def test_private_addresses_are_reached_only_where_allowed(receiver: Receiver) -> None:
    watched = Watched(receiver.url, allow="")

    assert watched.heartbeat.beat() == "failed"

    assert receiver.posted == []
    assert "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE" in watched.lines[0][1]["reason"]


def test_what_is_no_url_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="not http or https"):
        Watched("ftp://example.org/")


def test_it_is_withheld_while_a_loop_does_not_come_round(receiver: Receiver) -> None:
    now_s = [100.0]
    delivering = Pulse(30, monotonic=lambda: now_s[0])
    notify = NotifyConfig(heartbeat_url=receiver.url, webhook_allow_private="127.0.0.0/8")
    meters = Meters()
    heartbeat = make_heartbeat(
        Config(notify=notify),
        Tools(log=structlog.get_logger()),
        meters,
        leads=lambda: True,
        checks={"outbox": delivering.check},
    )
    outcomes = [heartbeat.beat()]

    now_s[0] += 31
    outcomes.append(heartbeat.beat())
    delivering.beat()
    outcomes.append(heartbeat.beat())

    assert outcomes == ["sent", "withheld", "sent"]
    assert len(receiver.posted) == 2
    assert meters.figures().by_label("heartbeats_total", "outcome") == {"sent": 2, "withheld": 1}


def test_a_setting_that_is_no_url_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"TIDEGAUGE_HEARTBEAT_URL: .*not http or https"):
        make_heartbeat(
            Config(notify=NotifyConfig(heartbeat_url="mailto:ops")),
            Tools(log=structlog.get_logger()),
            Meters(),
            leads=lambda: True,
            checks={},
        )
