"""Chooses which graphs are in memory in each stage, within a budget.

Each graph but ``guide_and_step`` runs in one stage only, so there are two choices for it: it is *kept* from job to job,
or it is loaded once per job and dropped at the end of its stage. A graph that is not kept is *prefetched* during the
earliest earlier stage from which on there is room for it; otherwise it is loaded when its stage begins, and the stage
waits. The stage before the first one is the last of the previous job: a dropped text encoder can be loaded again while
the previous clip is decoded.

Of all sets of graphs that could be kept, the best is the one for which denoising waits for the fewest bytes, because a
wait at the switch of experts idles the GPU in the middle of its work. Among equals, the best set loads the fewest
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from engine.api.capabilities import MemoryPlan, StageMemory
from engine.api.events import Stage
from engine.bundle.graph_spec import GraphName
from engine.memory.demand import JobDemand, StageDemand


class Placement:
    """Places the graphs of one geometry under a budget; ``budget_bytes`` None keeps everything.

    ``other_bytes`` are weights of other geometries' graphs that stay in memory as well.
    """

    def __init__(self, demand: JobDemand, budget_bytes: int | None, other_bytes: int = 0) -> None:
        self._demand = demand
        self._budget_bytes = budget_bytes
        self._other_bytes = other_bytes
        self._standing = frozenset(demand.standing)

    @property
    def tightest(self) -> StageMemory:
        """The stage that needs the most memory if nothing is kept: no plan takes less."""
        alone = (self._memory(stage, self._alone(stage)) for stage in self._demand.stages)
        return max(alone, key=lambda memory: memory.peak_bytes)

    def plan(self) -> MemoryPlan | None:
        """The best plan; None if not even the graphs that run fit."""
        best: tuple[StageMemory, ...] | None = None
        for kept in self._choices():
            if not self._leaves_room(kept):
                continue
            stages = tuple(self._stages(kept))
            if best is None or self._waiting_bytes(stages) < self._waiting_bytes(best):
                best = stages
            if self._waiting_bytes(best) == 0:  # each further set loads more
                break
        if best is None:
            return None
        if self._standing:
            best = (self._match(best), *best)
        return MemoryPlan(self._demand.geometry, best)

    def _choices(self) -> Iterator[frozenset[GraphName]]:
        """Every set of graphs that could be kept, the one with the most bytes first."""
        movable = [name for name in self._demand.graphs if name not in self._standing]
        if self._budget_bytes is None:
            return iter([frozenset(movable)])
        choices = [frozenset(some) for count in range(len(movable) + 1) for some in combinations(movable, count)]
        return iter(sorted(choices, key=lambda graphs: (-self._demand.weights_of(graphs), -len(graphs))))

    def _waiting_bytes(self, stages: Iterable[StageMemory]) -> int:
        names = {name for stage in stages if stage.stage is Stage.DENOISE for name in stage.loaded}
        return self._demand.weights_of(name for name in self._demand.graphs if name in names)

    def _leaves_room(self, kept: frozenset[GraphName]) -> bool:
        return all(self._fits(stage, kept | self._alone(stage)) for stage in self._demand.stages)

    def _stages(self, kept: frozenset[GraphName]) -> Iterator[StageMemory]:
        """The stages with these graphs kept, and all others prefetched as early as there is room."""
        stages = self._demand.stages
        present = [set(kept | self._alone(stage)) for stage in stages]
        missing = [
            (index, name) for index, stage in enumerate(stages) for name in stage.runs if name not in present[index - 1]
        ]
        missing.sort(key=lambda item: -self._demand.weights_of([item[1]]))
        # One stage ahead for all, before any takes room further ahead.
        ahead = {item: self._waits(*item, present, most=1) for item in missing}
        for item in missing:
            if ahead[item]:
                ahead[item] += self._waits(ahead[item][-1], item[1], present, most=len(stages))
        for index, stage in enumerate(stages):
            loaded = [name for name in stage.runs if name not in present[index - 1]]
            prefetched = [name for (_, name), waits in ahead.items() if waits and waits[-1] == index]
            yield self._memory(stage, present[index], loaded, prefetched)

    def _waits(self, index: int, name: GraphName, present: list[set[GraphName]], most: int) -> list[int]:
        """Makes room for a graph in the stages before one, backwards, as far as there is room; gives their indices."""
        waits: list[int] = []
        for distance in range(1, most + 1):
            earlier = (index - distance) % len(present)
            if name in present[earlier] or not self._fits(self._demand.stages[earlier], present[earlier] | {name}):
                break
            present[earlier].add(name)
            waits.append(earlier)
        return waits

    def _match(self, stages: tuple[StageMemory, ...]) -> StageMemory:
        """A score while no job runs: the graphs that the last stage of the previous job left, and the scorer's own."""
        return StageMemory(
            stage=Stage.MATCH,
            expert=None,
            resident=stages[-1].resident,
            loaded=(),
            prefetched=(),
            weight_bytes=stages[-1].weight_bytes,
            scratch_bytes=self._demand.scratch_of(self._standing),
            buffer_bytes=self._demand.standing_buffers.byte_count,
        )

    def _alone(self, stage: StageDemand) -> frozenset[GraphName]:
        return self._standing | frozenset(stage.runs)

    def _fits(self, stage: StageDemand, graphs: Iterable[GraphName]) -> bool:
        if self._budget_bytes is None:
            return True
        own_bytes = self._scratch_of(stage) + self._buffers_of(stage)
        return self._demand.weights_of(graphs) + self._other_bytes + own_bytes <= self._budget_bytes

    def _scratch_of(self, stage: StageDemand) -> int:
        return self._demand.scratch_of((*stage.runs, *self._standing))

    def _buffers_of(self, stage: StageDemand) -> int:
        return (stage.buffers + self._demand.standing_buffers).byte_count

    def _memory(
        self,
        stage: StageDemand,
        graphs: Iterable[GraphName],
        loaded: Iterable[GraphName] = (),
        prefetched: Iterable[GraphName] = (),
    ) -> StageMemory:
        demand = self._demand
        resident = set(graphs)
        return StageMemory(
            stage=stage.stage,
            expert=stage.expert,
            resident=tuple(name for name in demand.graphs if name in resident),
            loaded=tuple(loaded),
            prefetched=tuple(prefetched),
            weight_bytes=demand.weights_of(resident) + self._other_bytes,
            scratch_bytes=self._scratch_of(stage),
            buffer_bytes=self._buffers_of(stage),
        )
