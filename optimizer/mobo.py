"""The default search: a local search on cheap looks, and Bayesian optimization of what they miss.

Plans are looked at on two levels: on a short window of the workload, then on a long one, which is
the whole workload unless that is very long. On each a local search keeps an archive of the best
drafts. What is asked for is what adds most to the front of the plans that were tried: by the looks
themselves where they are exact, else by a surrogate that learns how full evaluations differ from
them. PyTorch is imported with the first such round, when plans are already on the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from boute.metrics import EXACT
from boute.optimizer.archive import Looked
from boute.optimizer.constraints import misses_of
from boute.optimizer.decoder import FULLEST
from boute.optimizer.draft import Draft, decision_of_draft, draft_of, routing_of
from boute.optimizer.features import Features
from boute.optimizer.fidelity.looker import Looker, latencies_among
from boute.optimizer.fidelity.part import PartSource
from boute.optimizer.fidelity.simulated import SimulatedParts
from boute.optimizer.fidelity.steady import SteadyParts
from boute.optimizer.local_search import LocalSearch
from boute.optimizer.pareto import hypervolume, nondominated
from boute.optimizer.problem import Problem
from boute.optimizer.search import BATCH
from boute.optimizer.seeds import ends, placed, seeds
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision
from boute.workload.arrays import Floats

if TYPE_CHECKING:
    from boute.optimizer.acquisition import Data

__all__ = ["Mobo", "Recipe"]

FIRST: Final = 16  # plans that are tried before anything is learned
LESSONS: Final = 256  # trials that the surrogate is fitted to: its cost grows with their cube
SHORTLIST: Final = 64  # candidates that the acquisition compares in a round
PROMOTED: Final = 64  # drafts of one level that are looked at on the next, each round

# Work of a round on each level, in microseconds as they count it; as much again to promote.
WORK: Final = 300_000
# Gain of the next batch, as a share of the hypervolume, above which it is tried before more is
# looked for.
PLENTY: Final = 0.003

# Rounds of work without a gain after which nothing more is expected.
_PATIENCE: Final = 20

# Expected gain in normalised hypervolume below which nothing more is asked for.
TOLERANCE: Final = 1e-7

# How many times as dear a tried plan has to be that does as much.
_BARGAIN: Final = 1.05

# Such plans in a batch at most; the second and third are ends of the front, and come once so many
# plans were tried.
_BARGAINS: Final = 3
_EARLY: Final = 64

# Plans that are tried from then on before more is looked for, where so many promise something.
_LATER: Final = 2 * BATCH

# Work spent on looks at the ends of the front between two batches.
_END_WORK: Final = WORK // 6

# Routings of the front that are placed anew between two batches, and how full: the table may hope
# for more than the simulator finds. A program of a hundred options takes ten milliseconds, one of
# seven hundred a third of a second; so there are fewer of those, by options in all.
_PLACED: Final = 4
_OPTIONS: Final = 600
_LEVELS: Final = (FULLEST, 0.75)

_SMALLEST: Final = 1e-6  # of a metric that may be 0, where its logarithm is taken
_WORST_SURPRISE: Final = 3.0  # in log units: an unstable plan's latency has no upper end


@dataclass(frozen=True)
class Recipe:
    """What the search is made of; parts are left out to see what each brings."""

    formulas: bool = True
    guide: bool = True
    windows: tuple[int, ...] = (32_768,)
    placements: bool = True
    local_search: bool = True
    surrogate: bool = True


class Mobo:
    """Asks for what is expected to add most to the front of the plans that were tried."""

    def __init__(self, problem: Problem, seed: int, recipe: Recipe | None = None) -> None:
        self._problem = problem
        self._seed = seed
        self._recipe = recipe or Recipe()
        self._features = Features(problem.context, problem.table)
        self._trials: dict[str, Trial] = {}
        self._tried: set[Draft] = set()
        self._levels: list[LocalSearch] = []
        self._ends: list[Draft] = []
        self._placed: set[tuple[int, ...]] = set()
        self._is_exact = False
        self._grown_at = 0
        self._is_wide = False
        self._first: list[Looked] | None = None
        self._uncertain = [name for name in problem.wanted if name not in EXACT]

    def ask(self, count: int) -> list[Decision]:
        """The first plans; then those with the largest expected gain, or none."""
        self._begin()
        waiting = self._waiting()
        chosen = waiting[:count] if waiting else self._promising(count)
        return [decision_of_draft(looked.draft, self._problem) for looked in chosen]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials that were evaluated.

        The archives grow here and not when asked, so that a fresh sampler that is told the same
        has the same archives.
        """
        self._begin()
        for trial in trials:
            if trial.decision is not None:
                self._trials[trial.decision.key] = trial
                draft = draft_of(trial.decision, self._problem)
                self._tried.add(draft)
                self._levels[-1].look_at([draft])
        self._ends += self._placed_anew()
        level = self._levels[-1]
        level.look_at([end for end in self._ends if end not in level.looked], _END_WORK)
        if not self._waiting() and not self._has_plenty():
            self._grow()
            self._grown_at = len(self._trials)

    def _begin(self) -> None:
        """Look at the seeds, and around them."""
        if self._levels:
            return
        sources: list[PartSource] = [self._formulas()] if self._recipe.formulas else []
        for longest in self._recipe.windows:
            if not (sources and sources[-1].is_whole):
                sources.append(SimulatedParts(self._problem, longest))
        lookers = [Looker(self._problem, source) for source in sources]
        for looker in lookers:
            guide = self._levels[-1] if self._levels and self._recipe.guide else None
            self._levels.append(LocalSearch(self._problem, looker, guide))
        self._is_exact = lookers[-1].is_exact and not self._problem.robust
        first = seeds(self._problem, self._seed, self._recipe.placements)
        self._levels[0].look_at(draft_of(decision, self._problem) for decision in first)
        if self._recipe.placements:
            self._ends = [draft_of(decision, self._problem) for decision in ends(self._problem)]
        self._work(WORK // 2, np.random.default_rng([self._seed, 0]))

    def _formulas(self) -> SteadyParts:
        problem = self._problem
        return SteadyParts(problem.context, problem.table, tuple(latencies_among(problem.wanted)))

    def _work(self, work: int, rng: np.random.Generator) -> None:
        """Search on each level, from the formulas to the longest window."""
        for below, level in zip([None, *self._levels], self._levels, strict=False):
            if below is not None:
                promising = below.best(PROMOTED, without=level.looked)
                level.look_at((found.draft for found in promising), work)
            if self._recipe.local_search:
                level.run(work, rng)

    def _waiting(self) -> list[Looked]:
        """First plans that are not tried yet."""
        if self._first is None:
            self._first = self._levels[-1].best(FIRST)
        return [found for found in self._first if found.draft not in self._tried]

    def _grow(self) -> None:
        rng = np.random.default_rng([self._seed, len(self._trials), 1])
        for _ in range(_PATIENCE if self._recipe.local_search else 1):
            self._work(WORK, rng)
            if self._gains(1):
                return
            if not self._is_wide:
                self._is_wide = True
                for level in self._levels:
                    level.widen()

    def _has_plenty(self) -> bool:
        """Whether the drafts at hand promise so much that looking for more can wait.

        Looks that are not exact promise too much as a rule.
        """
        if not self._is_exact or not self._levels[-1].archive.members:
            return False
        gains = [looked.values for looked in self._gains(BATCH)]
        if not gains:
            return False
        if len(self._trials) >= _EARLY and len(self._trials) < self._grown_at + _LATER:
            return True
        front = self._front()
        now = hypervolume(front)
        return hypervolume(np.vstack([front, gains])) > (1.0 + PLENTY) * now

    def _front(self) -> Floats:
        """Objectives [n, m] of the plans that were tried and that no other dominates."""
        values = [trial.values for trial in self._best()]
        return np.array(values, dtype=np.float64).reshape(-1, len(self._problem.objectives))

    def _best(self) -> list[Trial]:
        """Trials that meet everything and that no other dominates."""
        good = [trial for trial in self._trials.values() if trial.feasible]
        if not good:
            return []
        kept = nondominated(np.array([trial.values for trial in good]))
        return [trial for trial, keep in zip(good, kept, strict=True) if keep]

    def _gains(self, count: int) -> list[Looked]:
        """Untried drafts that add most to the front by their looks."""
        return self._levels[-1].best(count, self._front(), self._tried)

    def _promising(self, count: int) -> list[Looked]:
        if self._is_exact:
            extra = self._bargains() if count > _BARGAINS else []
            gains = [looked for looked in self._gains(count) if looked not in extra]
            return [*gains[: count - len(extra)], *extra]
        if not self._recipe.surrogate or len(self._trials) < 2:
            return self._gains(count)
        return self._by_surrogate(count)

    def _bargains(self) -> list[Looked]:
        """Untried drafts that are cheapest for what they do, beside tried plans that do as much.

        Who asks for a quality and a latency at least cost sees ratios of cost. Volume does not: at
        the cheap end of the front half the cost is next to none of it. The archive may have dropped
        an end of the front for a draft that is much alike, and a cent dearer.
        """
        level = self._levels[-1]
        bargains = self._by_ratio(level.archive.members, _BARGAIN)[:1]
        if len(self._trials) >= _EARLY:
            known = (level.looked.get(draft) for draft in self._ends)
            ends = [found for found in known if found is not None and _is_within(found)]
            bargains += self._by_ratio(ends, 1.0 + _SMALLEST)
        return list(dict.fromkeys(bargains))[:_BARGAINS]

    def _by_ratio(self, found: Sequence[Looked], least: float) -> list[Looked]:
        """Those untried that cost less than any tried plan that does as much, by what ratio."""
        untried = [looked for looked in found if looked.draft not in self._tried]
        front, names = self._front(), self._problem.objectives
        if "cost_per_hour" not in names or not untried or not len(front):
            return []
        price = names.index("cost_per_hour")
        own = np.array([looked.values for looked in untried])
        does_more = np.delete(front, price, 1) <= np.delete(own, price, 1)[:, None] + _SMALLEST
        cheapest = np.where(does_more.all(axis=2), front[:, price], 1.0).min(axis=1)
        ratio = cheapest / np.maximum(own[:, price], _SMALLEST)
        order = (-ratio).argsort(kind="stable")
        return [untried[place] for place in order if ratio[place] > least]

    def _placed_anew(self) -> list[Draft]:
        """The cheapest placements for routings of the front, those of its cheapest plans first."""
        names, problem = self._problem.objectives, self._problem
        if len(self._trials) < _EARLY or not self._is_exact or not self._recipe.placements:
            return []
        if "cost_per_hour" not in names:
            return []
        best, price = self._best(), self._front()[:, names.index("cost_per_hour")]
        plans = [best[place].decision for place in price.argsort(kind="stable")]
        routings = dict.fromkeys(draft_of(plan, problem).cuts for plan in plans if plan is not None)
        most = min(max(_OPTIONS // len(problem.table.options), 1), _PLACED)
        new = [cuts for cuts in routings if cuts not in self._placed][:most]
        self._placed.update(new)
        found = placed(problem, [routing_of(cuts, problem) for cuts in new], _LEVELS)
        return [draft_of(plan, problem) for plan in found]

    def _by_surrogate(self, count: int) -> list[Looked]:
        from boute.optimizer.acquisition import choose

        rng = np.random.default_rng([self._seed, len(self._trials)])
        shortlist = self._shortlist(rng)
        if not shortlist:
            return self._gains(count)
        lessons = self._lessons()
        tried = self._data([self._look(trial) for trial in lessons])
        choice = choose(
            tried,
            self._logs(lessons, tried.priors),
            self._data(shortlist),
            scale=self._problem.scale,
            uncertain={
                index: self._uncertain.index(name)
                for index, name in enumerate(self._problem.objectives)
                if name in self._uncertain
            },
            limits=self._limits(),
            split=(self._features.routing, self._features.deployment),
            count=count,
            seed=int(rng.integers(2**31)),
        )
        if choice.gain < TOLERANCE:
            return []
        return [shortlist[index] for index in choice.chosen]

    def _shortlist(self, rng: np.random.Generator) -> list[Looked]:
        """Untried drafts that span the front of the looks, and others of the archive.

        The surrogate judges latencies alone, so what misses an exact limit is not for it.
        """
        level = self._levels[-1]
        best = level.best(SHORTLIST // 2, without=self._tried)
        best = [found for found in best if not self._misses_exactly(found)]
        taken = {looked.draft for looked in best}
        rest = [found for found in level.archive.members
                if found.draft not in self._tried and found.draft not in taken]  # fmt: skip
        order = rng.permutation(len(rest))[: SHORTLIST - len(best)]
        return best + [rest[index] for index in order]

    def _misses_exactly(self, looked: Looked) -> bool:
        """Whether a draft misses a target by what is known before it is simulated."""
        targets = self._problem.context.spec.targets
        missed = misses_of(looked.metrics.__getitem__, 0.0, targets)
        return any(targets.limits()[name][0] in EXACT for name in missed)

    def _lessons(self) -> list[Trial]:
        """Trials to learn from: all while they are few, else the front and the newest."""
        trials = list(self._trials.values())
        if len(trials) <= LESSONS:
            return trials
        front = self._best()[:LESSONS]
        ids = {id(trial) for trial in front}
        newest = [trial for trial in reversed(trials) if id(trial) not in ids]
        return front + newest[: LESSONS - len(front)]

    def _look(self, trial: Trial) -> Looked:
        assert trial.decision is not None
        return self._levels[-1].look(draft_of(trial.decision, self._problem))

    def _logs(self, trials: Sequence[Trial], priors: Floats) -> Floats:
        """Logarithms [n, U] of what was simulated, cut where surprise turns into nonsense."""
        rows = []
        for trial in trials:
            assert trial.outcome is not None
            rows.append([self._problem.value(trial.outcome, name) for name in self._uncertain])
        found = np.log(np.maximum(np.array(rows), _SMALLEST))
        cut: Floats = np.clip(found, priors - _WORST_SURPRISE, priors + _WORST_SURPRISE)
        return cut

    def _data(self, looked: Sequence[Looked]) -> Data:
        from boute.optimizer.acquisition import Data

        exact = np.array([name in EXACT for name in self._problem.objectives])
        priors = np.array([[found.metrics[name] for name in self._uncertain] for found in looked])
        decisions = [decision_of_draft(found.draft, self._problem) for found in looked]
        return Data(
            features=np.array([self._features.of(decision) for decision in decisions]),
            priors=np.log(np.maximum(priors, _SMALLEST)),
            known=np.where(exact, np.array([found.values for found in looked]), np.nan),
        )

    def _limits(self) -> list[tuple[int, float]]:
        limits = self._problem.context.spec.targets.latency_limits()
        return [(self._uncertain.index(name), float(np.log(limit)))
                for name, limit in limits.items()]  # fmt: skip


def _is_within(looked: Looked) -> bool:
    """Whether a draft meets everything and is better than the reference point."""
    return looked.violation == 0.0 and bool(np.all(looked.values < 1.0))
