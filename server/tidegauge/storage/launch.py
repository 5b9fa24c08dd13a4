"""Start one program as a child that dies with its parent, and as another user if asked.

Run as a script (`python -I -S launch.py PARENT SIGNAL UID GID REACH -- PROGRAM ARGS…`), because
between fork and exec of a process with threads nothing may be done safely: the script does it in
a process of its own and then becomes the program.

- The program gets SIGNAL when PARENT ends, however that ends (Linux only).
- With UID it runs as that user. With REACH it keeps the right to walk through folders that this
  user could not enter, and nothing else of root's: a program below a home of mode 0700 starts.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


def command(
    program: list[str],
    *,
    signal_at_parent_death: int,
    uid: int | None = None,
    gid: int | None = None,
    reach: bool = False,
) -> list[str]:
    """Return the command line that starts `program` in this way, as a child of this process."""
    numbers = [os.getpid(), signal_at_parent_death, -1 if uid is None else uid]
    numbers += [-1 if gid is None else gid, int(reach)]
    shim = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return [*shim, *map(str, numbers), "--", *program]


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel to send this process a signal when its parent ends (Linux only)."""
    if sys.platform == "linux":
        _check(_libc().prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PDEATHSIG)")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _held_reach_capability() -> int:
    """Return the smaller of the two capabilities that open folders, if this process has it."""
    permitted = 0
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapPrm:"):
            permitted = int(line.split()[1], 16)
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted >> capability & 1:
            return capability
    raise OSError("this root may not pass on the right to enter closed folders")


def _become(uid: int, gid: int, *, reach: bool) -> None:
    if not reach:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
        return
    libc, capability = _libc(), _held_reach_capability()
    # Capabilities survive the change of user, and access(2), by which PostgreSQL judges its own
    # programs, takes them into account. Without CAP_SETPCAP only the first is to be had, which
    # does as long as the programs themselves can be reached.
    if libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0:
        _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable
    _check(libc.capset(header, sets), "capset")
    raised = libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    _check(raised, "prctl(PR_CAP_AMBIENT_RAISE)")


def _run(args: list[str]) -> None:
    parent, signal_number, uid, gid, reach = map(int, args[:5])
    program = args[6:]
    if uid >= 0:
        _become(uid, gid, reach=bool(reach))
    die_with_parent(signal_number)  # After the change of user, which would forget it.
    if os.getppid() != parent:
        sys.exit(0)  # The parent was gone before the signal was ordered.
    os.execv(program[0], program)  # noqa: S606  (its own argument list, no shell)


if __name__ == "__main__":
    try:
        _run(sys.argv[1:])
    except OSError as exc:
        sys.exit(f"cannot start {sys.argv[-1] if len(sys.argv) < 8 else sys.argv[7]}: {exc}")
