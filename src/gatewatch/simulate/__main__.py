"""Write synthetic measurements: `python -m gatewatch.simulate OUT`, or `--situations OUT`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from gatewatch.model.errors import GatewatchError
from gatewatch.simulate import situations


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gatewatch.simulate",
        description="Write synthetic OONI measurements whose truth is known.",
        epilog="Example: python -m gatewatch.simulate demo-data --seed 1 --days 10",
    )
    parser.add_argument("out", type=Path, help="directory to write to")
    parser.add_argument(
        "--situations",
        action="store_true",
        help="write one measurement of each named situation, and truth.tsv",
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same bytes (default 1)")
    parser.add_argument("--days", type=int, default=10, help="days to cover (default 10)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiple of the demo's size (default 1)"
    )
    parser.add_argument(
        "--until",
        type=datetime.fromisoformat,
        default=datetime(2026, 3, 11, tzinfo=UTC),
        help="end of the period, ISO 8601 (default 2026-03-11)",
    )
    args = parser.parse_args(arguments)
    if args.situations:
        count = situations.write(args.out)
        print(f"{count} situations and their truth in {args.out}", file=sys.stderr)
        return
    from gatewatch.simulate.world import PER_DAY, write_world

    try:
        summary = write_world(
            args.out,
            seed=args.seed,
            days=args.days,
            measurements_per_day=round(PER_DAY * args.scale),
            now=args.until if args.until.tzinfo else args.until.replace(tzinfo=UTC),
        )
    except GatewatchError as error:
        parser.exit(1, f"{error}\n")
    print(summary.sentence(), file=sys.stderr)


if __name__ == "__main__":
    main()
