"""Evidently's own drift of embeddings, for comparison. It is imported only here and for descriptors."""

from __future__ import annotations

import os

import numpy as np

from monitor.drift.pool import DriftResult, Pool
from monitor.errors import MissingExtraError

__all__ = ["evidently_embeddings"]


def evidently_embeddings(pool: Pool) -> DriftResult:
    """The AUROC of Evidently's domain classifier, by its defaults; it says drift above 0.55, whatever the windows' size.

    Without permutations it has no p-value. The effect is the AUROC less 0.55, above nought where Evidently alarms. Raises
    `MissingExtraError` without Evidently.
    """
    # Evidently reports its use unless it is told not to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        import pandas as pd
        from evidently.legacy.metrics.data_drift.embedding_drift_methods import model
    except ImportError:
        raise MissingExtraError("Evidently's drift of embeddings", extra="reports", library="evidently") from None
    if not all(pool.sides):
        return pool.nothing()
    current = pool.current[0][pool.conversation]
    columns = [str(one) for one in range(pool.vectors.shape[1])]
    frames = [pd.DataFrame(pool.vectors[rows], columns=columns) for rows in (current, ~current)]
    score, _, _ = model()(*frames)
    return DriftResult(float(score) - 0.55, np.nan, np.nan, np.array([float(score)]), *pool.sides)
