"""What is wrong with what was sent."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.errors import InvalidInput

SHOWN_REJECTIONS = 3


class UnsupportedMedia(InvalidInput):
    """A content type or encoding that is not spoken here; the sender may fall back to another."""

    code = "unsupported_media_type"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one series or point of a request was refused.

    Args:
        index: its position in the request, from 0.
        code: stable, for programs.
        error: for people: what, the value, and for a limit the setting.
        samples: how many samples went with it.
    """

    index: int
    code: str
    error: str
    samples: int = 1


class RefusedSeries(InvalidInput):
    """One series or point that cannot be taken, while its neighbours can.

    Args:
        code: stable, for programs.
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
