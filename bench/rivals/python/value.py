#!/usr/bin/env python3
# Python's multiprocessing.Value in the rivals' protocol (bench/rivals/program.ts): `ping` is an addition under the value's own lock.
import sys
import time
from multiprocessing import Value


def ping(count):
    value = Value("i", 0)
    times = []
    done = 0
    while done < count:
        started = time.perf_counter_ns()
        for _ in range(1000):
            with value.get_lock():
                value.value += 1
        times.append((time.perf_counter_ns() - started) / 1000)
        done += 1000
    times.sort()
    return f"ping {done} {times[len(times) // 2]:.1f} {times[int(len(times) * 0.99)]:.1f} 0 0"


for line in sys.stdin:
    print(ping(int(line)), flush=True)
