import asyncio
import time


class Ran:
    tasks = 0


async def count():
    await asyncio.sleep(0)
    Ran.tasks += 1


async def slow():
    await asyncio.sleep(0.5)
    print("slow task ran", flush=True)


async def waiting():
    await asyncio.sleep(0.15)
    print("half of the task has run", flush=True)
    await asyncio.sleep(0.15)


def block(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


# Not async: what blocks belongs in the thread pool, where both frameworks run plain functions.
def blocking():
    block(0.15)
    print("half of the task has run", flush=True)
    block(0.15)


async def rejects():
    await asyncio.sleep(0)
    raise RuntimeError("the first task failed")


def throws():
    raise RuntimeError("the first task failed")


async def finish():
    return {"ok": True}


async def answer_late():
    print("the handler has begun", flush=True)
    await asyncio.sleep(0.2)
    return {"ok": True}


async def fail():
    raise RuntimeError("the handler failed")


# The same as in ../scenarios.js.
scenarios = {
    "one": ([count], finish),
    "three": ([count, count, count], finish),
    "abort": ([count], answer_late),
    "rejects": ([rejects, count, count], finish),
    "throws": ([throws, count, count], finish),
    "slow": ([slow, slow, slow], finish),
    "waiting": ([waiting], finish),
    "blocking": ([blocking], finish),
    "fails": ([count], fail),
}
