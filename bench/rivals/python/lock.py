#!/usr/bin/env python3
# Python's multiprocessing.Lock in the rivals' protocol (bench/rivals/program.ts): `ping` is one process that takes it and lets go, `flow` are two
# processes that add to a shared number under it.
import sys
import time
from multiprocessing import Lock, Process, Value


def cpu():
    return int(time.process_time_ns())


def ping(count):
    lock = Lock()
    times = []
    done = 0
    while done < count:
        started = time.perf_counter_ns()
        for _ in range(100):
            lock.acquire()
            lock.release()
        times.append((time.perf_counter_ns() - started) / 100)
        done += 100
    times.sort()
    return f"ping {done} {times[len(times) // 2]:.1f} {times[int(len(times) * 0.99)]:.1f} 0 0"


def add(lock, total, target):
    while True:
        with lock:
            if total.value >= target:
                return
            total.value += 1


def flow(count):
    lock, total = Lock(), Value("q", 0, lock=False)
    other = Process(target=add, args=(lock, total, count))
    other.start()
    while total.value == 0:
        time.sleep(0)
    first, started, busy = total.value, time.perf_counter_ns(), cpu()
    add(lock, total, count)
    spent, busy = time.perf_counter_ns() - started, cpu() - busy
    other.join()
    return f"flow {max(1, count - first)} {spent} {busy} {busy}"


for line in sys.stdin:
    print((ping if sys.argv[1] == "ping" else flow)(int(line)), flush=True)
