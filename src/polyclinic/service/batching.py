"""Micro-batching: what waits while the model works is its next batch."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from polyclinic.core.errors import PolyclinicError, Unavailable
from polyclinic.core.model import Told
from polyclinic.service.telemetry import ModelMetrics

Item = TypeVar("Item")
ItemIn = TypeVar("ItemIn", contravariant=True)
Output = TypeVar("Output", bound=Told)
OutputOut = TypeVar("OutputOut", bound=Told, covariant=True)

log = structlog.get_logger()


class Predict(Protocol[ItemIn, OutputOut]):
    """`Model.predict`: one answer an item, in order."""

    def __call__(
        self, items: Sequence[ItemIn], *, explain: bool
    ) -> Sequence[OutputOut | PolyclinicError]:
        """Answer `items`."""
        ...


@dataclass
class _Waiting(Generic[Item, Output]):
    item: Item
    explain: bool
    answer: asyncio.Future[Output | PolyclinicError]


class Batcher(Generic[Item, Output]):
    """A queue before one model and its one thread.

    There is no timer: an item that finds the model idle goes at once, and under load batches grow
    by themselves. Use it from one event loop.
    """

    def __init__(
        self,
        predict: Predict[Item, Output],
        *,
        max_batch: int,
        max_queue: int,
        metrics: ModelMetrics,
    ) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._metrics = metrics
        self._queue: deque[_Waiting[Item, Output]] = deque()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._work: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(
        self, items: Sequence[Item], *, explain: bool = False
    ) -> list[Output | PolyclinicError]:
        """The answers to `items`, in order; what one item met is its answer, and its alone.

        Raises `Unavailable` when not all of them fit into the queue, or when it is closed. When
        the caller is cancelled, those of its items that no batch holds yet are dropped.
        """
        if self._closed:
            raise Unavailable("This model is being put away.", remedy="Try again.")
        if self._queue and len(self._queue) + len(items) > self._max_queue:
            raise Unavailable(
                f"The queue is full: {len(self._queue)} items wait.",
                remedy="Try again after the seconds that Retry-After gives, or with fewer at once.",
            )
        loop = asyncio.get_running_loop()
        waiting: list[_Waiting[Item, Output]] = [
            _Waiting(item, explain, loop.create_future()) for item in items
        ]
        self._queue.extend(waiting)
        self._metrics.waiting(len(self._queue))
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._run())
        return await asyncio.gather(*(entry.answer for entry in waiting))

    async def close(self) -> None:
        """Accept no more, finish what was accepted, and let the thread go."""
        self._closed = True
        if self._work is not None:
            await self._work
        self._worker.shutdown(wait=False)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._take():
            items = [entry.item for entry in batch]
            answers = await loop.run_in_executor(
                self._worker, self._answer, items, batch[0].explain
            )
            self._metrics.batch(answers)
            for entry, answer in zip(batch, answers, strict=True):
                if not entry.answer.done():
                    entry.answer.set_result(answer)

    def _take(self) -> list[_Waiting[Item, Output]]:
        """The next batch: those that wait for the same as the first in the queue."""
        wanted = [entry for entry in self._queue if not entry.answer.cancelled()]
        alike = [entry for entry in wanted if entry.explain == wanted[0].explain]
        batch = alike[: self._max_batch]
        taken = {id(entry) for entry in batch}
        self._queue = deque(entry for entry in wanted if id(entry) not in taken)
        self._metrics.waiting(len(self._queue))
        return batch

    def _answer(self, items: list[Item], explain: bool) -> list[Output | PolyclinicError]:
        """Runs in the model's thread. A batch that fails is halved until the bad item is alone."""
        try:
            answers = list(self._predict(items, explain=explain))
            if len(answers) != len(items):
                raise RuntimeError(f"{len(answers)} answers to {len(items)} items")
        except Exception as error:
            if len(items) > 1:
                half = len(items) // 2
                return self._answer(items[:half], explain) + self._answer(items[half:], explain)
            if isinstance(error, PolyclinicError):
                return [error]
            log.exception("the model failed on an item")
            return [PolyclinicError("The model failed on this item.")]
        return answers
