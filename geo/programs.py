"""Linear and mixed-integer programs in sparse rows, solved by HiGHS (Huangfu and Hall 2018, Math. Prog. Comp. 10, 119-142).

    maximise value . x   subject to   least <= A x <= most,   0 <= x <= upper,   some x whole numbers

The same program gives the same answer: one thread, a fixed seed. Only `seconds` can make an answer
depend on the machine; `nodes` is the limit that does not.
"""

from dataclasses import dataclass

import highspy
import numpy as np

DONE = {"kOptimal": "optimal", "kInfeasible": "infeasible", "kUnboundedOrInfeasible": "infeasible"}
DONE |= {"kTimeLimit": "time", "kSolutionLimit": "nodes", "kInterrupt": "cancelled", "kUnbounded": "unbounded"}
DONE |= {"kHighsInterrupt": "cancelled", "kModelEmpty": "optimal"}
FEASIBLE = int(highspy.SolutionStatus.kSolutionStatusFeasible)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the solver says. status: 'optimal' (to the gap asked for), 'infeasible', 'unbounded', 'time', 'nodes',
    'cancelled'. value: of the best x found (-inf if none). bound: no x has a larger value.
    x: None if none was found. duals: of the rows, for a program without whole numbers, else None.
    """

    status: str
    value: float
    bound: float
    x: np.ndarray | None
    duals: np.ndarray | None

    gap = property(lambda self: relative_gap(self.value, self.bound))


def relative_gap(value, bound):
    """(bound - value) / |bound|: 0 is proven best; inf if nothing was found.

    >>> relative_gap(95.0, 100.0), relative_gap(0.0, 0.0)
    (0.05, 0.0)
    """
    if not np.isfinite(value):
        return float("inf")
    return float(max(bound - value, 0.0) / max(abs(bound), 1e-9))


class Rows:
    """The rows of a program, block by block."""

    def __init__(self):
        self._least, self._most, self._entries, self.count = [], [], [], 0

    def add(self, most, *parts, least=-np.inf):
        """Adds rows least <= sum of parts <= most. most: one number per row; least: the same, or one for all.

        parts: (row, column, value), flat arrays or single numbers; the rows of the block count from 0.
        """
        most = np.asarray(most, dtype=float).ravel()
        for row, column, value in parts:
            row, column, value = np.broadcast_arrays(row, column, np.asarray(value, dtype=float))
            self._entries.append((row.ravel() + self.count, column.ravel(), value.ravel()))
        self._most.append(most)
        self._least.append(np.broadcast_to(np.asarray(least, dtype=float), most.shape))
        self.count += len(most)

    def parts(self):
        """(row, column, value) of all entries, least, most."""
        entries = tuple(np.concatenate(x) for x in zip(*self._entries, strict=True)) if self._entries else ((), (), ())
        return entries, np.concatenate([*self._least, []]), np.concatenate([*self._most, []])


def maximise(value, upper, rows, *, whole=None, start=None, gap=0.0, seconds=None, nodes=None, stop=None):
    """Answer of the program in the module's formula.

    value, upper: one number per column. rows: Rows, in which no (row, column) is given twice.
    whole: boolean per column. start: (columns, their values) of an x known to be feasible. gap: relative gap at which to be content.
    seconds, nodes: limits (None: none). stop: called now and then; true ends the search.
    """
    value, upper = np.asarray(value, dtype=float), np.asarray(upper, dtype=float)
    if not len(value):
        return Answer("optimal", 0.0, 0.0, value, np.zeros(rows.count))
    (row, column, number), least, most = rows.parts()
    order = np.lexsort((row, column))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(value), rows.count
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_, program.col_lower_, program.col_upper_ = value, np.zeros(len(value)), upper
    program.row_lower_, program.row_upper_ = least, most
    matrix = program.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    matrix.start_ = np.searchsorted(np.asarray(column)[order], np.arange(len(value) + 1)).astype(np.int32)
    matrix.index_ = np.asarray(row)[order].astype(np.int32)
    matrix.value_ = np.asarray(number)[order]
    mixed = whole is not None and bool(np.any(whole))
    if mixed:
        kinds = np.array([highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger], dtype=object)
        program.integrality_ = list(kinds[np.asarray(whole, dtype=int)])
    solver = highspy.Highs()
    options = {"output_flag": False, "threads": 1, "random_seed": 0, "mip_rel_gap": gap, "mip_abs_gap": 1e-9}
    options |= {"time_limit": float(seconds)} if seconds is not None else {}
    options |= {"mip_max_nodes": int(nodes)} if nodes is not None else {}
    for name, setting in options.items():
        solver.setOptionValue(name, setting)
    if stop is not None:
        _listen(solver, stop)
    solver.passModel(program)
    if start is not None:
        columns, values = start
        solver.setSolution(len(columns), np.asarray(columns, dtype=np.int32), np.asarray(values, dtype=float))
    solver.run()
    return _answer(solver, mixed)


def _listen(solver, stop):
    def asked(event):
        if stop():
            event.interrupt()

    for moment in (solver.cbMipInterrupt, solver.cbSimplexInterrupt, solver.cbIpmInterrupt):
        moment.subscribe(asked)


def _answer(solver, mixed):
    status = str(solver.getModelStatus()).rpartition(".")[2]
    info, solution = solver.getInfo(), solver.getSolution()
    status = DONE.get(status, status)
    found = info.primal_solution_status == FEASIBLE
    value = float(info.objective_function_value) if found else -np.inf
    bound = {"optimal": value, "infeasible": -np.inf}.get(status, np.inf)
    if mixed and status != "infeasible" and np.isfinite(info.mip_dual_bound):
        bound = max(float(info.mip_dual_bound), value)
    x = np.asarray(solution.col_value, dtype=float) if found else None
    return Answer(status, value, bound, x, np.asarray(solution.row_dual) if found and not mixed else None)
