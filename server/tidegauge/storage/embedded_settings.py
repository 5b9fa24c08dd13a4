"""The settings of the embedded PostgreSQL, sized from the machine's memory but modest.

The whole product stays below 1 GiB under load, so shared buffers end at 192 MiB; durability is
complete: what was committed survives a power cut.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

MIB = 1024 * 1024


def machine_memory_bytes() -> int:
    """Return the memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def server_settings(memory_bytes: int) -> dict[str, str]:
    """Return the settings for a machine with so much memory, by name."""
    buffers_mib = min(192, max(32, memory_bytes // 16 // MIB))
    cache_mib = max(128, memory_bytes // 2 // MIB)
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "60",
        # Memory.
        "shared_buffers": f"{buffers_mib}MB",
        "effective_cache_size": f"{cache_mib}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "64MB",
        "wal_buffers": "16MB",
        "huge_pages": "off",
        "jit": "off",
        # Durability and the write path: few, spread checkpoints, since each makes every page
        # touched after it travel whole through the WAL. The wheel has neither lz4 nor zstd, and
        # pglz costs more than it saves on samples that are packed already.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "wal_compression": "off",
        "max_wal_size": "3GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "bgwriter_lru_maxpages": "400",
        "bgwriter_delay": "100ms",
        "autovacuum": "on",
        "autovacuum_max_workers": "2",
        "max_parallel_workers_per_gather": "0",
        # Sessions.
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "idle_in_transaction_session_timeout": "10min",
        "client_connection_check_interval": "5s",
        # Logs: a week of files inside the data directory, each rewritten a week later.
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgres-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_checkpoints": "off",
        "log_min_messages": "warning",
        "log_min_error_statement": "error",
        "log_line_prefix": "%m [%p] ",
    }


def render_settings(settings: Mapping[str, str]) -> str:
    """Return the text of the file that holds these settings."""
    head = "# Written by `tidegauge up` at each start. To change a setting, use ALTER SYSTEM.\n"
    return head + "".join(
        f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()
    )
