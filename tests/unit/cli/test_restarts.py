"""When a dead part is started again."""

from __future__ import annotations

from tidegauge.cli.restarts import RestartPolicy


def test_wait_doubles_up_to_its_longest() -> None:
    policy = RestartPolicy(first_delay_s=1, longest_delay_s=5, calm_s=60)

    assert [policy.note_death(now_s) for now_s in range(5)] == [1, 2, 4, 5, 5]


def test_a_calm_while_starts_over() -> None:
    policy = RestartPolicy(first_delay_s=1, longest_delay_s=5, calm_s=60)
    for now_s in range(3):
        policy.note_death(now_s)

    assert policy.note_death(100) == 1


def test_too_many_deaths_in_a_while_give_up() -> None:
    policy = RestartPolicy(most_deaths=3, calm_s=60)

    delays = [policy.note_death(now_s) for now_s in range(4)]

    assert None not in delays[:3]
    assert delays[3] is None


def test_deaths_far_apart_never_give_up() -> None:
    policy = RestartPolicy(most_deaths=1, calm_s=60)

    assert {policy.note_death(now_s) for now_s in range(0, 1000, 61)} == {0.5}
