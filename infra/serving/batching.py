"""Request batching: several requests share one model call, and each gets its own answer or its own failure.

A batch is called when it is full, or when its first instance has waited long enough and a call is free. While all calls
are busy the waiting batch keeps filling, so batches grow with the load by themselves. Requests with different
parameters never share a call.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

Instance = Any
Call = Callable[[Sequence[Instance], Mapping[str, Any]], Awaitable[Sequence[Any]]]
"""One model call: for each instance, in order, a prediction or an exception as a value."""


class _Part:
    """What one request contributes to a batch."""

    __slots__ = ("done", "instances")

    def __init__(self, instances: Sequence[Instance], done: asyncio.Future[list[Any]]) -> None:
        self.instances = instances
        self.done = done


class _Batch:
    """Parts that will share a call."""

    __slots__ = ("is_due", "key", "parameters", "parts", "size", "timer")

    def __init__(self, key: str, parameters: Mapping[str, Any]) -> None:
        self.key = key
        self.parameters = parameters
        self.parts: list[_Part] = []
        self.size = 0
        self.is_due = False
        self.timer: asyncio.Handle | None = None


class Batcher:
    """Collects up to ``max_instances`` instances or ``wait_ms`` milliseconds for one model call."""

    def __init__(self, call: Call, *, max_instances: int = 32, wait_ms: float = 0.0, concurrency: int = 64) -> None:
        self._call = call
        self._max_instances = max_instances
        self._wait = wait_ms / 1000
        self._free = concurrency
        self._open: dict[str, _Batch] = {}
        self._due: deque[_Batch] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, instances: Sequence[Instance], parameters: Mapping[str, Any]) -> list[Any]:
        """The predictions for one request; raises what the model raised for it.

        A request larger than a batch is split and its parts are answered together.
        """
        size = self._max_instances
        if len(instances) <= size:
            return await self._enqueue(instances, parameters)
        parts = [instances[start : start + size] for start in range(0, len(instances), size)]
        answers = await asyncio.gather(*(self._enqueue(part, parameters) for part in parts))
        return [prediction for answer in answers for prediction in answer]

    def _enqueue(self, instances: Sequence[Instance], parameters: Mapping[str, Any]) -> asyncio.Future[list[Any]]:
        loop = asyncio.get_running_loop()
        part = _Part(instances, loop.create_future())
        key = json.dumps(parameters, sort_keys=True) if parameters else ""
        batch = self._open.get(key)
        if batch is not None and batch.size + len(instances) > self._max_instances:
            self._make_due(batch, closed=True)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(key, parameters)
            wait = self._wait
            batch.timer = (
                loop.call_later(wait, self._make_due, batch) if wait else loop.call_soon(self._make_due, batch)
            )
        batch.parts.append(part)
        batch.size += len(instances)
        if batch.size >= self._max_instances:
            self._make_due(batch, closed=True)
        return part.done

    def _make_due(self, batch: _Batch, *, closed: bool = False) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        if closed and self._open.get(batch.key) is batch:
            del self._open[batch.key]
        if not batch.is_due:
            batch.is_due = True
            self._due.append(batch)
        self._start_calls()

    def _start_calls(self) -> None:
        while self._free and self._due:
            batch = self._due.popleft()
            if self._open.get(batch.key) is batch:
                del self._open[batch.key]
            parts = [part for part in batch.parts if not part.done.done()]  # a caller that left is not computed
            if not parts:
                continue
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._run(parts, batch.parameters))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        self._start_calls()

    async def _run(self, parts: Sequence[_Part], parameters: Mapping[str, Any]) -> None:
        """Call the model for all parts; when the call as a whole fails, each part is tried alone to find whose fault it is."""
        try:
            results = await self._answers([instance for part in parts for instance in part.instances], parameters)
        except Exception as error:  # noqa: BLE001 - any failure of the model belongs to the requests of this call
            if len(parts) == 1:
                _fail(parts[0], error)
                return
            for part in parts:
                await self._run([part], parameters)
            return
        start = 0
        for part in parts:
            _settle(part, results[start : start + len(part.instances)])
            start += len(part.instances)

    async def _answers(self, instances: Sequence[Instance], parameters: Mapping[str, Any]) -> Sequence[Any]:
        results = await self._call(instances, parameters)
        if len(results) != len(instances):
            raise RuntimeError(f"the model answered {len(results)} predictions to {len(instances)} instances")
        return results


def _settle(part: _Part, results: Sequence[Any]) -> None:
    error = next((result for result in results if isinstance(result, Exception)), None)
    if error is not None:
        _fail(part, error)
    elif not part.done.done():
        part.done.set_result(list(results))


def _fail(part: _Part, error: Exception) -> None:
    if not part.done.done():
        part.done.set_exception(error)
