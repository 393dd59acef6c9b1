"""Batching: who shares a model call with whom, and whose failure is whose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infra.serving.batching import Batcher
from infra.serving.model import ModelError


class DoublingModel:
    """Doubles numbers; fails as a whole on 13, and on one instance for 7."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[int], Mapping[str, Any]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, instances: Sequence[int], parameters: Mapping[str, Any]) -> list[Any]:
        self.calls.append((list(instances), parameters))
        await self.gate.wait()
        if 13 in instances:
            raise RuntimeError("thirteen")
        return [ModelError("seven") if instance == 7 else 2 * instance for instance in instances]

    @property
    def batches(self) -> list[list[int]]:
        return [instances for instances, _ in self.calls]


def test_requests_that_arrive_together_share_one_call_and_get_their_own_answers() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model)
        answers = list(await asyncio.gather(*(batcher.submit([n, n + 100], {}) for n in range(3))))
        assert answers == [[0, 200], [2, 202], [4, 204]]
        assert model.batches == [[0, 100, 1, 101, 2, 102]]

    asyncio.run(scenario())


def test_a_full_batch_is_called_at_once_and_the_rest_after_the_wait() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model, max_instances=2, wait_ms=20)
        await asyncio.gather(*(batcher.submit([n], {}) for n in range(5)))
        assert model.batches == [[0, 1], [2, 3], [4]]

    asyncio.run(scenario())


def test_a_request_waits_for_company_as_long_as_it_was_told_to() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model, wait_ms=200)
        first = asyncio.create_task(batcher.submit([1], {}))
        await asyncio.sleep(0.01)
        assert model.calls == []
        assert list(await asyncio.gather(first, batcher.submit([2], {}))) == [[2], [4]]
        assert model.batches == [[1, 2]]

    asyncio.run(scenario())


def test_requests_gather_into_larger_batches_while_the_model_is_busy() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model, max_instances=4, concurrency=1)
        model.gate.clear()
        tasks = []
        for n in range(7):
            tasks.append(asyncio.create_task(batcher.submit([n], {})))
            await asyncio.sleep(0.002)
        assert model.batches == [[0]]
        model.gate.set()
        assert await asyncio.gather(*tasks) == [[2 * n] for n in range(7)]
        assert model.batches == [[0], [1, 2, 3, 4], [5, 6]]

    asyncio.run(scenario())


def test_requests_with_different_parameters_never_share_a_call() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model, wait_ms=1)
        parameters: list[dict[str, int]] = [{"a": 1, "b": 2}, {}, {"b": 2, "a": 1}]
        await asyncio.gather(*(batcher.submit([n], given) for n, given in enumerate(parameters)))
        assert sorted(model.batches) == [[0, 2], [1]]

    asyncio.run(scenario())


def test_a_request_larger_than_a_batch_is_split_and_answered_in_order() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        assert await Batcher(model, max_instances=3).submit(list(range(20, 28)), {}) == [2 * n for n in range(20, 28)]
        assert sorted(model.batches) == [[20, 21, 22], [23, 24, 25], [26, 27]]

    asyncio.run(scenario())


def test_an_instance_that_fails_fails_its_own_request_only() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model)
        answers = await asyncio.gather(
            batcher.submit([1], {}), batcher.submit([6, 7, 8], {}), batcher.submit([2], {}), return_exceptions=True
        )
        assert (answers[0], answers[2]) == ([2], [4])
        assert isinstance(answers[1], ModelError)
        assert len(model.calls) == 1

    asyncio.run(scenario())


def test_a_call_that_fails_as_a_whole_is_repeated_for_each_request_alone() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model)
        answers = await asyncio.gather(*(batcher.submit([n], {}) for n in (1, 13, 2)), return_exceptions=True)
        assert (answers[0], answers[2]) == ([2], [4])
        assert isinstance(answers[1], RuntimeError)
        assert model.batches == [[1, 13, 2], [1], [13], [2]]

    asyncio.run(scenario())


def test_a_model_that_forgets_an_answer_is_a_failure_not_a_mix_up() -> None:
    async def forgetful(instances: Sequence[int], parameters: Mapping[str, Any]) -> list[int]:
        return [0]

    async def scenario() -> None:
        with pytest.raises(RuntimeError, match="answered 1 predictions to 2 instances"):
            await Batcher(forgetful).submit([1, 2], {})

    asyncio.run(scenario())


def test_a_caller_that_left_is_not_computed_and_the_call_is_free_again() -> None:
    async def scenario() -> None:
        model = DoublingModel()
        batcher = Batcher(model, max_instances=1, concurrency=1)
        model.gate.clear()
        first = asyncio.create_task(batcher.submit([1], {}))
        await asyncio.sleep(0)
        leaver = asyncio.create_task(batcher.submit([2], {}))
        await asyncio.sleep(0.002)
        leaver.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        assert await first == [2]
        assert await batcher.submit([3], {}) == [6]
        assert model.batches == [[1], [3]]

    asyncio.run(scenario())
