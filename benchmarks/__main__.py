"""`python -m benchmarks`: the short form, as a table; the JSON is kept in benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import ingest, queries

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="samples per series, remote write")
    parser.add_argument("--repeats", type=int, default=15, help="times each panel is asked")
    parser.add_argument("--only", choices=["ingest", "json", "queries"], help="one part of it")
    parser.add_argument(
        "--products", default="tidegauge,prometheus,victoria-metrics", help="which, by comma"
    )
    args = parser.parse_args()
    names = args.products.split(",")
    found: dict[str, Any] = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    found["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    work = Path(tempfile.mkdtemp(prefix="tidegauge-bench-"))
    work.chmod(0o755)
    try:
        if args.only in (None, "ingest"):
            found["remote_write"] = [
                ingest.measure_remote_write(name, work / "rw" / name, args.rounds) for name in names
            ]
            print_ingest(
                "Remote write, 10,000 series, 11 labels, 2,000 samples a request, 4 connections",
                found["remote_write"],
            )
        if args.only in (None, "json") and "tidegauge" in names:
            found["json"] = [ingest.measure_json("tidegauge", work / "json", 60)]
            print_ingest("JSON API, 1,000 points a request, 4 connections", found["json"])
        if args.only in (None, "queries"):
            peers = [name for name in names if name != "victoria-metrics"]
            found["queries"] = queries.measure(peers, work / "queries", args.repeats)
            print_queries(found["queries"])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    RESULTS.mkdir(exist_ok=True)
    kept = RESULTS / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.json"
    kept.write_text(json.dumps(found, indent=1))
    print(f"\nkept as {kept.relative_to(RESULTS.parent.parent)}")


def print_ingest(title: str, rows: list[dict[str, Any]]) -> None:
    """Print ingestion rows with their ratio to the first."""
    stored = "data_bytes_per_sample" in rows[0]
    print(f"\n{title}")
    print(
        f"{'product':18}{'samples/s':>12}{'ratio':>8}{'µs CPU':>9}{'peak MiB':>10}"
        + (f"{'data B':>9}{'log B':>8}{'found s':>9}" if stored else "")
    )
    for row in rows:
        line = (
            f"{row['product']:18}{row['samples_per_s']:>12,.0f}"
            f"{row['samples_per_s'] / rows[0]['samples_per_s']:>8.2f}"
            f"{row['cpu_us_per_sample']:>9.2f}{row['peak_memory_bytes'] / 2**20:>10.0f}"
        )
        if stored:
            line += f"{row['data_bytes_per_sample']:>9.1f}{row['log_bytes_per_sample']:>8.1f}"
            line += f"{row['visible_after_s']:>9.2f}"
        print(line)
    if stored:
        print("ratio: to the first row; µs CPU, bytes: a sample; log: the write-ahead log on disk;")
        print("found: from the last answer until a query that counts every sample is answered")


def print_queries(rows: list[dict[str, Any]]) -> None:
    """Print the panel set, each product beside Prometheus."""
    print("\nQueries over HTTP, median and p95 in ms")
    base = {row["panel"]: row for row in rows if row["product"] == "prometheus"}
    print(f"{'panel':48}{'product':14}{'p50':>9}{'p95':>9}{'to Prometheus':>15}")
    for row in sorted(rows, key=lambda row: row["panel"]):
        peer = base.get(row["panel"])
        ratio = f"{row['p50_ms'] / peer['p50_ms']:>15.2f}" if peer else ""
        print(
            f"{row['panel']:48}{row['product']:14}{row['p50_ms']:>9.1f}{row['p95_ms']:>9.1f}{ratio}"
        )


if __name__ == "__main__":
    main()
