"""Rules kept as the rule files of a folder say: at the start, and whenever a file changes.

What is on its way into a folder must not cost anybody an alert: a file is taken as gone only when
two looks one after the other do not find it, and what would change rules that are there is loaded
only when two looks find the same. A file with a fault is left out, and its rules stay as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.loading import Loaded, load_recordings, load_rules
from tidegauge.alerts.rule_files import MAX_FILE_BYTES, parse_rule_file
from tidegauge.auth.actor import SYSTEM
from tidegauge.errors import InvalidInput, TidegaugeError, Unavailable
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.recording_rules import RecordingRules

PREFIX = "watched/"
"""What the names of its files begin with, so that they are told from those of `rules load`."""

MAX_FILES = 1000


class RuleFolder:
    """The rule files of one folder, and the rules that were loaded from them; for one thread.

    Args:
        folder: its `*.yml` and `*.yaml`, but none of folders in it.
        rules, recordings: the tables.
        parser: reads queries.
        interval_ms: of groups that say none.
        clock_ms: Unix ms.
        log: is told of each file that was loaded, or cannot be.
    """

    def __init__(
        self,
        *,
        folder: Path,
        rules: AlertRules,
        recordings: RecordingRules,
        parser: QueryParser,
        interval_ms: int,
        clock_ms: Callable[[], int],
        log: FilteringBoundLogger,
    ) -> None:
        self._folder, self._rules, self._recordings = folder, rules, recordings
        self._parser, self._interval_ms = parser, interval_ms
        self._clock_ms, self._log = clock_ms, log
        self.forget()

    @property
    def faults(self) -> Mapping[str, str]:
        """What is wrong, by file; the empty name is the folder itself."""
        return dict(self._faults)

    def forget(self) -> None:
        """Look at everything anew: another may have been at work."""
        self._faults: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._done: dict[str, str] = {}
        self._missed: set[str] = set()

    def scan(self) -> int:
        """Load what has changed since the last look; return how many files were loaded or ended.

        Raises:
            Unavailable: the database is away.
        """
        try:
            files = self._read_folder()
        except OSError as exc:
            # A folder that is away for a moment must not cost anybody a rule.
            self._blame("", f"the folder cannot be read: {exc}")
            return 0
        self._clear("")
        known = self._list_known()
        work = sum(self._look(name, text, name in known) for name, text in files.items())
        gone = known - set(files)
        for name in sorted(gone & self._missed):
            self._load(name, None)
            self._done.pop(name, None)
            work += 1
        self._missed = gone
        for name in set(self._faults) - set(files):
            self._clear(name)
        return work

    def _read_folder(self) -> dict[str, bytes | None]:
        """Return what the files hold; None: it is there, but cannot be read."""
        paths = [
            path
            for path in sorted(self._folder.iterdir())
            if path.suffix in (".yml", ".yaml") and not path.name.startswith(".")
        ]
        found: dict[str, bytes | None] = {}
        if len(paths) > MAX_FILES:
            raise OSError(f"it has {len(paths)} rule files, at most {MAX_FILES} are taken")
        for path in paths:
            name = PREFIX + path.name
            try:
                with path.open("rb") as file:
                    found[name] = file.read(MAX_FILE_BYTES + 1)
            except OSError as exc:
                found[name] = None
                self._blame(name, f"it cannot be read: {exc}")
        return found

    def _list_known(self) -> set[str]:
        origins = [one.rule.origin for one in self._rules.read_all()]
        origins += [one.rule.origin for one in self._recordings.read_all()]
        return {one.file for one in origins if one is not None and one.file.startswith(PREFIX)}

    def _look(self, name: str, content: bytes | None, is_known: bool) -> bool:
        """Load a file if it says something new; return whether it was loaded."""
        if content is None:
            return False
        digest = hashlib.sha256(content).hexdigest()
        settled = not is_known or self._seen.get(name) == digest
        self._seen[name] = digest
        if self._done.get(name) == digest or not settled:
            return False
        try:
            self._load(name, content)
        except Unavailable:
            raise
        except TidegaugeError as exc:
            self._blame(name, exc.message)
            return False
        self._done[name] = digest
        self._clear(name)
        return True

    def _load(self, name: str, content: bytes | None) -> None:
        groups = []
        if content is not None:
            try:
                text = content.decode()
            except UnicodeDecodeError as exc:
                raise InvalidInput(f"{name}: it is no UTF-8: {exc}") from exc
            if not text.strip():
                # A disk that is full leaves such files behind.
                raise InvalidInput(f"{name}: it is empty; without rules it says `groups: []`")
            groups = parse_rule_file(
                text, file=name, parser=self._parser, interval_ms=self._interval_ms
            )
        alerting = [rule for group in groups for rule in group.alerting]
        recording = [rule for group in groups for rule in group.recording]
        done = load_rules(self._rules, name, alerting, SYSTEM, clock_ms=self._clock_ms)
        self._tell(name, done + load_recordings(self._recordings, name, recording, SYSTEM))

    def _tell(self, name: str, done: Loaded) -> None:
        if done.made or done.changed or done.deleted:
            self._log.info(
                "rule file loaded",
                file=name,
                made=done.made,
                changed=done.changed,
                deleted=done.deleted,
            )

    def _blame(self, name: str, reason: str) -> None:
        if self._faults.get(name) != reason:
            self._log.warning("rule file cannot be loaded", file=name, reason=reason)
        self._faults[name] = reason

    def _clear(self, name: str) -> None:
        self._faults.pop(name, None)
