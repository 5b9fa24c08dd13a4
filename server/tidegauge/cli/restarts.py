"""When a part that died may be started again, and when to give up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class RestartPolicy:
    """Doubles the wait between restarts; a calm while makes it forget.

    Args:
        first_delay_s, longest_delay_s: the wait before the first restart, and the longest.
        calm_s: after so long without a death the wait starts over.
        most_deaths: so many deaths within calm_s are too many; None means never.
    """

    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    calm_s: float = 60.0
    most_deaths: int | None = None
    _deaths_s: deque[float] = field(default_factory=deque)

    def note_death(self, now_s: float) -> float | None:
        """Return how long to wait before the restart, or None to give up.

        Args:
            now_s: the monotonic clock at the death.
        """
        while self._deaths_s and now_s - self._deaths_s[0] > self.calm_s:
            self._deaths_s.popleft()
        self._deaths_s.append(now_s)
        count = len(self._deaths_s)
        if self.most_deaths is not None and count > self.most_deaths:
            return None
        return min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(count - 1, 30))
