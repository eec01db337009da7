"""The counting: verdict rows in, counts per cell out, on any lazy engine narwhals speaks to."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from gatewatch.model.outcome import Outcome

KEYS = ["target", "domain", "service", "probe_cc", "probe_asn", "resolver_asn", "day"]
"""What makes a cell. Domain and service follow from the target and are carried along."""

OUTCOMES = [outcome.value for outcome in Outcome]
DECIDED = [outcome for outcome in OUTCOMES if outcome != Outcome.UNCLEAR]


def counts(verdicts: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Count verdicts per cell.

    Args:
        verdicts: the table `verdicts`, one row a measurement, already without duplicates.

    Returns:
        KEYS, `measurements`, `reports`, a count for each outcome, and `vote_<outcome>`: votes
        after each report's decided measurements are shared out over one vote; a report that
        decided nothing has its vote among `unclear`. Measurements without a
        target are in no cell.
    """
    per_report = (
        _targeted(verdicts)
        .group_by(*KEYS, "report_id")
        .agg(
            nw.len().alias("n"),
            *[(nw.col("outcome") == o).cast(nw.Int64).sum().alias(o) for o in OUTCOMES],
        )
        .with_columns(
            # What is unclear neither fills a submission's vote nor thins it.
            (nw.col("n") - nw.col("unclear")).alias("decided"),
        )
        .with_columns(
            *[
                nw.when(nw.col("decided") > 0)
                .then(nw.col(o) / nw.col("decided"))
                .otherwise(nw.lit(0.0))
                .alias(f"vote_{o}")
                for o in DECIDED
            ],
            nw.when(nw.col("decided") > 0)
            .then(nw.lit(0.0))
            .otherwise(nw.lit(1.0))
            .alias("vote_unclear"),
        )
    )
    return per_report.group_by(*KEYS).agg(
        nw.col("n").sum().cast(nw.Int64).alias("measurements"),
        nw.len().cast(nw.Int64).alias("reports"),
        *[nw.col(o).sum().cast(nw.Int64).alias(o) for o in OUTCOMES],
        *[nw.col(f"vote_{o}").sum().alias(f"vote_{o}") for o in OUTCOMES],
    )


def mechanisms(verdicts: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """How many measurements of each cell show each mechanism: KEYS, `mechanism`, `n`."""
    return (
        _targeted(verdicts)
        .select(*KEYS, "mechanisms")
        .explode("mechanisms")
        .filter(~nw.col("mechanisms").is_null())
        .group_by(*KEYS, "mechanisms")
        .agg(nw.len().cast(nw.Int64).alias("n"))
        .rename({"mechanisms": "mechanism"})
    )


def probes(verdicts: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Distinct probes of each cell, for cells in which the archive tells them: KEYS, `n`."""
    known = _targeted(verdicts).filter(~nw.col("probe_id").is_null())
    return known.group_by(*KEYS).agg(nw.col("probe_id").n_unique().cast(nw.Int64).alias("n"))


def _targeted(verdicts: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return verdicts.filter(~nw.col("target").is_null())
