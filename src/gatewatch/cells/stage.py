"""The stage: the table of verdicts in, the table of cells out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewatch.archive import keyed
from gatewatch.cells import counting
from gatewatch.cells.counting import KEYS, OUTCOMES
from gatewatch.cells.states import states_of

if TYPE_CHECKING:
    import narwhals as nw


def cells(verdicts: nw.LazyFrame[Any], schema: Any) -> Any:
    """Every cell of these verdicts, with its state, in the order of its keys.

    Args:
        verdicts: the table `verdicts`, without duplicates.
        schema: Arrow schema of the table `cells`.

    Returns:
        An Arrow table of that schema.
    """
    counted = keyed.in_order(counting.counts(verdicts).collect("pyarrow").to_native(), KEYS)
    shown = keyed.in_order(
        counting.mechanisms(verdicts).collect("pyarrow").to_native(), KEYS, largest_first="n"
    )
    probes = counting.probes(verdicts).collect("pyarrow").to_native()
    size: int = counted.num_rows
    votes: dict[str, NDArray[np.float64]] = {
        o: counted[f"vote_{o}"].to_numpy().astype(np.float64) for o in OUTCOMES
    }
    states, share, low, high = states_of(
        votes["open"],
        votes["down"],
        votes["blocked"],
        votes["server_side"],
        reports=counted["reports"].to_numpy(),
    )
    row_of_shown = keyed.rows_of(counted, shown, KEYS)
    distinct_probes = np.full(size, np.nan)
    distinct_probes[keyed.rows_of(counted, probes, KEYS)] = probes["n"].to_numpy()
    made: dict[str, Any] = {name: counted[name] for name in counted.column_names}
    made |= {
        "probes": distinct_probes,
        "votes": np.sum([votes[o] for o in OUTCOMES if o != "unclear"], axis=0),
        "blocked_share": share,
        "blocked_low": low,
        "blocked_high": high,
        "state": states.tolist(),
        "mechanisms": keyed.lists(row_of_shown, shown["mechanism"], size),
        "mechanism_counts": keyed.lists(row_of_shown, shown["n"], size),
    }
    return keyed.table_of(schema, made)
