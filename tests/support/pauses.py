"""An evaluator that stands still in the middle of its work, and what it does when it goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.alert_scene import Scene
from tests.support.evaluators import SOURCE, role
from tests.support.servers import wait_until
from tests.support.witness import Heard

DUE_S = 60.0

# Which evaluator wrote what: each names itself in its sessions. What is rolled back is not here.
_WATCH = f"""
CREATE TABLE proof_writes (id bigserial PRIMARY KEY, source text, kind text);
CREATE FUNCTION proof_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO proof_writes (source, kind)
    VALUES (current_setting('{SOURCE}', true), lower(TG_OP) || ' ' || TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER proof_events AFTER INSERT ON alert_events
    FOR EACH ROW EXECUTE FUNCTION proof_note();
CREATE TRIGGER proof_instances AFTER INSERT OR UPDATE OR DELETE ON alert_instances
    FOR EACH ROW EXECUTE FUNCTION proof_note();
CREATE TRIGGER proof_evaluations AFTER INSERT OR UPDATE ON alert_evaluations
    FOR EACH ROW EXECUTE FUNCTION proof_note();
CREATE TRIGGER proof_notifications AFTER INSERT ON notifications
    FOR EACH ROW EXECUTE FUNCTION proof_note();
"""
_WRITTEN = "SELECT id, kind FROM proof_writes WHERE source = %s"


@dataclass(frozen=True)
class Paused:
    """What came of a pause.

    Attributes:
        pause_s: how long the leader stood still.
        takeover_s: until another took the lease.
        written_before: rows that it wrote before.
        written_after: rows that it wrote afterwards, by what was done to which table.
        repeated_after: POSTs that it sent afterwards, and that were heard before.
        others_sent: POSTs that others sent meanwhile.
        sent_after: POSTs that it sent afterwards; what it claims then is its to send.
    """

    pause_s: float
    takeover_s: float
    written_before: int
    written_after: Counter[str]
    repeated_after: list[Heard]
    others_sent: int
    sent_after: int


def pause_leader(scene: Scene, *, wait: Callable[[float], None]) -> Paused:
    """Stop the leader in the middle of its transaction, with a POST under way; let it go on later.

    Args:
        scene: a leader, at least one more evaluator, and waves.
        wait: called when another leads and has written, with the seconds that the pause has
            lasted; it ends after that.
    """
    site, lease = scene.site, scene.lease
    site.change(_WATCH)
    leader = lease.leader()
    token = lease.taken[-1][2]
    scene.wait_for_firings(1)
    under_way, stopped = threading.Event(), threading.Event()

    def hold(heard: Heard) -> None:
        if heard.sender is leader and not under_way.is_set():
            under_way.set()
            stopped.wait(DUE_S)

    scene.witness.on_heard = hold
    assert under_way.wait(DUE_S), f"{leader.name} tells nobody anything"
    with scene.killer.hold_up_writes():
        assert lease.leader() is leader, f"{leader.name} has lost the lease before its pause"
        os.kill(leader.pid, signal.SIGSTOP)
        stopped_s = time.monotonic()
    stopped.set()
    takeover_s = lease.wait_for_next(token) - stopped_s
    scene.wait_for_firings(1)
    wait(time.monotonic() - stopped_s)
    before = {number for number, _ in site.ask(_WRITTEN, leader.name)}
    resumed_s = time.monotonic()
    os.kill(leader.pid, signal.SIGCONT)
    wait_until(lambda: role(leader) == "standby", timeout_s=DUE_S, what="it stands by")
    # Time for whatever it still had in hand: others do a whole turn of work.
    scene.wait_for_firings(scene.alerts)
    scene.settle()
    after = [kind for number, kind in site.ask(_WRITTEN, leader.name) if number not in before]
    heard = scene.witness.heard
    return Paused(
        pause_s=resumed_s - stopped_s,
        takeover_s=takeover_s,
        written_before=len(before),
        written_after=Counter(after),
        repeated_after=[
            again
            for _, again in scene.compare().repeated
            if again.sender is leader and again.at_s > resumed_s
        ],
        others_sent=sum(
            one.sender is not leader and stopped_s < one.at_s < resumed_s for one in heard
        ),
        sent_after=sum(one.sender is leader and one.at_s > resumed_s for one in heard),
    )
