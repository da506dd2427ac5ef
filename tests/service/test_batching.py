"""The micro-batcher before one model."""

import asyncio
import threading

import pytest
from house_parts import NAME, POISON, LightModel
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.core.errors import PolyclinicError, Unavailable
from polyclinic.core.model import Answer
from polyclinic.core.prediction import ModelIdentity, Prediction
from polyclinic.service.batching import Batcher
from polyclinic.service.telemetry import Metrics, ModelMetrics

pytestmark = pytest.mark.anyio

IDENTITY = ModelIdentity(name=NAME, version="0" * 12, digest="0" * 64)


def batcher_of(
    model: LightModel, metrics: Metrics | None = None, max_queue: int = 8
) -> Batcher[bytes, Prediction]:
    watch = ModelMetrics(metrics or Metrics(), IDENTITY)
    return Batcher(model.predict, max_batch=4, max_queue=max_queue, metrics=watch)


async def until_working(model: LightModel, batches: int = 1) -> None:
    while len(model.batches) < batches:
        await asyncio.sleep(0.001)


def light(answer: Answer) -> float:
    assert isinstance(answer, Prediction)
    return answer.findings[0].probability


async def test_an_idle_model_answers_at_once() -> None:
    model = LightModel(IDENTITY)
    batcher = batcher_of(model)
    assert light((await batcher.submit([b"\xff"]))[0]) == 1.0
    assert model.batches == [[b"\xff"]]
    await batcher.close()


async def test_what_waits_while_the_model_works_is_its_next_batch() -> None:
    model = LightModel(IDENTITY)
    batcher = batcher_of(model)
    with model.busy:
        first = asyncio.create_task(batcher.submit([b"\x00"]))
        await until_working(model)
        waiting = [asyncio.create_task(batcher.submit([bytes([n])])) for n in range(1, 7)]
        await asyncio.sleep(0)
    answers = await asyncio.gather(first, *waiting)
    assert [round(light(answer[0]) * 255) for answer in answers] == list(range(7))
    assert [len(batch) for batch in model.batches] == [1, 4, 2]
    await batcher.close()


async def test_items_with_and_without_explanation_are_batched_apart() -> None:
    model = LightModel(IDENTITY)
    batcher = batcher_of(model)
    with model.busy:
        first = asyncio.create_task(batcher.submit([b"\x01"]))
        await until_working(model)
        waiting = [
            asyncio.create_task(batcher.submit([b"\x01"], explain=explain))
            for explain in (True, False, True, False)
        ]
        await asyncio.sleep(0)
    await first
    answers = [(await one)[0] for one in waiting]
    explained = [isinstance(a, Prediction) and a.explanation is not None for a in answers]
    assert explained == [True, False, True, False]
    assert [len(batch) for batch in model.batches] == [1, 2, 2]
    await batcher.close()


@given(poisoned=st.lists(st.booleans(), max_size=12))
def test_a_poisoned_item_fails_alone_wherever_it_is(poisoned: list[bool]) -> None:
    async def answers() -> list[Answer]:
        batcher = batcher_of(LightModel(IDENTITY), max_queue=12)
        items = [POISON if bad else bytes([n]) for n, bad in enumerate(poisoned)]
        found = await batcher.submit(items)
        await batcher.close()
        return found

    found = asyncio.run(answers())
    assert [isinstance(answer, PolyclinicError) for answer in found] == poisoned
    good = [n for n, bad in enumerate(poisoned) if not bad]
    assert [round(light(found[n]) * 255) for n in good] == good


async def test_a_full_queue_refuses_and_then_recovers() -> None:
    model = LightModel(IDENTITY)
    batcher = batcher_of(model, max_queue=2)
    with model.busy:
        first = asyncio.create_task(batcher.submit([b"\x01"]))
        await until_working(model)
        second = asyncio.create_task(batcher.submit([b"\x01"]))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await batcher.submit([b"\x01"] * 2)
    await asyncio.gather(first, second)
    assert len(await batcher.submit([b"\x01"] * 2)) == 2
    await batcher.close()


async def test_what_a_cancelled_caller_waited_for_is_not_computed() -> None:
    model = LightModel(IDENTITY)
    batcher = batcher_of(model)
    with model.busy:
        first = asyncio.create_task(batcher.submit([b"\x01"]))
        await until_working(model)
        left = asyncio.create_task(batcher.submit([b"left"]))
        stays = asyncio.create_task(batcher.submit([b"stays"]))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(first, stays)
    assert model.batches == [[b"\x01"], [b"stays"]]
    await batcher.close()


async def test_closing_finishes_what_was_accepted_and_accepts_no_more() -> None:
    model = LightModel(IDENTITY)
    batcher = batcher_of(model)
    with model.busy:
        accepted = [asyncio.create_task(batcher.submit([b"\x01"])) for _ in range(3)]
        await until_working(model)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await batcher.submit([b"\x01"])
    await closing
    assert all(light(answers[0]) > 0 for answers in await asyncio.gather(*accepted))
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("model")]
    for worker in workers:
        worker.join(5)
    assert not any(worker.is_alive() for worker in workers)


async def test_batches_and_outcomes_are_counted() -> None:
    metrics = Metrics()
    batcher = batcher_of(LightModel(IDENTITY), metrics)
    await batcher.submit([b"\xff", b"\x01", b""])
    await batcher.close()
    of_model = {"model": NAME, "version": "0" * 12}

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {**of_model, **labels})

    outcomes = ("predicted", "abstained", "failed")
    counted = [value("polyclinic_answers_total", outcome=outcome) for outcome in outcomes]
    assert counted == [1, 1, 1]
    assert value("polyclinic_unfamiliar_total") == 1
    assert value("polyclinic_batch_size_sum") == 3
    assert value("polyclinic_queue_depth") == 0
