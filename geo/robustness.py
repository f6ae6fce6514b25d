"""How much a ranking of sites rests on the weights.

A site's score is sum of weight_k value_k / sum of weight_k. The weights are asked from people, so they are uncertain: each is
changed alone, and all are drawn at random (Monte Carlo), to see which sites stay in front.
"""

import numpy as np
import pandas as pd


def ranks(values, weights):
    """Rank of each site from 1 (best), of equal ones the first; values: frame of sites by criteria, 0 to 1.

    >>> v = pd.DataFrame({"near": [1.0, 0.2], "cheap": [0.1, 0.8]}, index=["A", "B"])
    >>> ranks(v, {"near": 1, "cheap": 1}).to_dict()
    {'A': 1, 'B': 2}
    """
    values, weights = _checked(values, weights)
    return pd.Series(_ranked(values.to_numpy() @ weights), index=values.index, name="rank")


def one_at_a_time(values, weights, *, changes=(-0.5, -0.2, 0.2, 0.5), top=3):
    """Frame: each weight multiplied by 1 + change, the others as they are: criterion, change, first (the site then in
    front), stays (it is the same as before), top_kept (share of the first `top` sites that stay among them).
    """
    table, weight = _checked(values, weights)
    scores = table.to_numpy()
    before = _ranked(scores @ weight)
    top = min(top, len(table))
    rows = []
    for k, criterion in enumerate(table.columns):
        for change in changes:
            changed = weight.copy()
            changed[k] *= max(1 + change, 0.0)
            after = _ranked(scores @ changed)
            first = table.index[after.argmin()]
            kept = ((before <= top) & (after <= top)).sum() / top
            rows.append((criterion, change, first, bool(before[after.argmin()] == 1), float(kept)))
    return pd.DataFrame(rows, columns=["criterion", "change", "first", "stays", "top_kept"])


def turning_points(values, weights):
    """Frame by criterion: down and up, the factors of its weight nearest to 1 at which another site comes to the front
    (NaN if none does), and the sites `down_to` and `up_to` that do ('').

    The lead of the first site a over b is linear in the factor t: sum over j not k of w_j (v_aj - v_bj) + t w_k (v_ak - v_bk).
    """
    table, weight = _checked(values, weights)
    scores = table.to_numpy()
    first = int(_ranked(scores @ weight).argmin())
    lead = scores[first] - scores
    rows = {}
    for k, criterion in enumerate(table.columns):
        slope = weight[k] * lead[:, k]
        rest = lead @ weight - slope
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = np.where(slope != 0, -rest / slope, np.nan)
        turn[first] = np.nan
        down = np.where((turn >= 0) & (turn <= 1) & (slope > 0), turn, -np.inf)
        up = np.where((turn >= 1) & (slope < 0), turn, np.inf)
        lower, upper = int(down.argmax()), int(up.argmin())
        rows[criterion] = {
            "down": down[lower] if np.isfinite(down[lower]) else np.nan,
            "down_to": table.index[lower] if np.isfinite(down[lower]) else "",
            "up": up[upper] if np.isfinite(up[upper]) else np.nan,
            "up_to": table.index[upper] if np.isfinite(up[upper]) else "",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def monte_carlo(values, weights, rng, *, runs=1_000, spread=0.5, top=3):
    """Frame by site: in_top (share of runs among the first `top`), first (share in front), mean_rank, best, worst.

    In each run every weight is multiplied by a number drawn evenly from 1 - spread to 1 + spread. rng: a numpy
    Generator; the same one gives the same answer.
    """
    table, weight = _checked(values, weights)
    if not 0 <= spread <= 1 or runs < 1 or top < 1:
        raise ValueError("spread must be 0 to 1, runs and top 1 or more.")
    drawn = weight * rng.uniform(1 - spread, 1 + spread, (runs, len(weight)))
    rank = np.array([_ranked(table.to_numpy() @ w) for w in drawn])
    return pd.DataFrame(
        {
            "in_top": (rank <= top).mean(axis=0),
            "first": (rank == 1).mean(axis=0),
            "mean_rank": rank.mean(axis=0),
            "best": rank.min(axis=0),
            "worst": rank.max(axis=0),
        },
        index=table.index,
    )


def _checked(values, weights):
    lost = [c for c in values.columns if c not in weights]
    if lost or not len(values) or not len(values.columns):
        raise ValueError(f"There must be sites and criteria, each with a weight; without: {lost}.")
    weight = np.array([weights[c] for c in values.columns], dtype=float)
    if not (weight >= 0).all() or not weight.sum() > 0:
        raise ValueError("Weights must be 0 or more, not all 0.")
    if not np.isfinite(values.to_numpy(dtype=float)).all():
        raise ValueError(f"A site has no value: look at {list(values.index[values.isna().any(axis=1)])[:5]}.")
    return values.astype(float), weight / weight.sum()


def _ranked(score):
    """Ranks from 1; scores that differ by rounding only are equal."""
    order = np.argsort(-np.round(score, 12), kind="stable")
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(1, len(order) + 1)
    return rank
