#!/usr/bin/env python3
# Python's Manager().dict() in the rivals' protocol (bench/rivals/program.ts): `flow` is two processes that get values of 32 bytes.
import sys
import time
from multiprocessing import Manager, Process


def get(shared, count):
    for n in range(count):
        shared[f"key:{n % 1000}"]


def flow(manager, count):
    shared = manager.dict({f"key:{n}": b"\x07" * 32 for n in range(1000)})
    half = max(1, count // 2)
    other = Process(target=get, args=(shared, half))
    started, busy = time.perf_counter_ns(), time.process_time_ns()
    other.start()
    get(shared, half)
    other.join()
    spent, busy = time.perf_counter_ns() - started, time.process_time_ns() - busy
    return f"flow {half * 2} {spent} {busy} {busy}"


if __name__ == "__main__":
    with Manager() as manager:
        for line in sys.stdin:
            print(flow(manager, int(line)), flush=True)
