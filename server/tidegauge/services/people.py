"""Accounts, sessions, tokens and the audit log of one process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tidegauge.auth.accounts import Accounts
from tidegauge.auth.identities import Identities
from tidegauge.auth.login import Logins
from tidegauge.auth.passwords import Passwords
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.resilience.ratelimit import RateLimiter
from tidegauge.services.commands import lend_storage
from tidegauge.services.parts import PeopleTables, Tools
from tidegauge.storage.audit import AuditLog


@dataclass(frozen=True, slots=True)
class People:
    """What the routes need to know people and to manage them."""

    identities: Identities
    accounts: Accounts
    logins: Logins
    audit: AuditLog


def make_people(
    tables: PeopleTables, config: Config, tools: Tools, cache: Cache, limiter: RateLimiter
) -> People:
    """Return the services over the tables of people."""
    passwords = Passwords()
    identities = Identities(
        tables.credentials,
        cache,
        session_secret=config.access.session_secret,
        clock_ms=tools.clock_ms,
        monotonic=tools.monotonic,
    )
    return People(
        identities=identities,
        accounts=Accounts(
            users=tables.users,
            credentials=tables.credentials,
            identities=identities,
            passwords=passwords,
            clock_ms=tools.clock_ms,
        ),
        logins=Logins(
            users=tables.users,
            credentials=tables.credentials,
            audit=tables.audit,
            identities=identities,
            passwords=passwords,
            limiter=limiter,
            cache=cache,
            config=config.access,
        ),
        audit=tables.audit,
    )


@contextlib.contextmanager
def open_people(config: Config) -> Iterator[People]:
    """Lend the accounts in the database at `config.database.url` to a command."""
    with lend_storage(config) as (storage, cache, tools):
        assert storage.people is not None
        limiter = RateLimiter(config.cache, monotonic=tools.monotonic)
        yield make_people(storage.people, config, tools, cache, limiter)


def create_first_admin(config: Config, database_url: str) -> str | None:
    """Make the account `admin` in a database without people.

    Returns:
        The password where it was made up, to be shown once; else None.
    Raises:
        BadPassword: TIDEGAUGE_ADMIN_PASSWORD is not fit. Unavailable.
    """
    database = replace(config.database, url=database_url)
    with open_people(replace(config, database=database)) as people:
        password = people.accounts.create_first_admin(config.access.admin_password.strip())
    return None if config.access.admin_password else password
