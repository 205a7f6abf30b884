# 22 · The original of 22-manager.ts: the same steps with the dict and the list of Python's multiprocessing.Manager. Both print the same lines.
from multiprocessing import Manager, Process


def work(totals, log, lock, name):
    for number in range(1, 4):
        log.append(f"{name} {number}")
        with lock:
            totals["sum"] = totals["sum"] + number
    totals[name] = {"done": True}


if __name__ == "__main__":
    with Manager() as manager:
        totals, log, lock = manager.dict(), manager.list(), manager.Lock()

        # Two processes write to both.
        totals["sum"] = 0
        workers = [Process(target=work, args=(totals, log, lock, name)) for name in ("ann", "bob")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print("workers ended:", *[worker.exitcode for worker in workers])

        # What they left in the dict.
        print("sum:", totals["sum"])
        print("keys:", *sorted(totals.keys()))
        print("ann is done:", totals["ann"]["done"])
        print("nobody:", totals.get("nobody", "none"))
        del totals["bob"]
        print("after a delete:", len(totals), "bob" in totals)

        # A nested change changes a copy: what is shared stays as it was, and nobody is told.
        totals["ann"]["done"] = False
        print("after a nested change:", totals["ann"]["done"])

        # What they left in the list.
        print("lines:", len(log))
        print("sorted:", *sorted(log[:]), sep="\n  ")
        log[:] = ["a", "b", "c", "d"]
        log[1] = "B"
        log.insert(0, "first")
        print("list:", *log[:])
        print("ends:", log.pop(0), log.pop(), log[-1])
        print("part:", *log[1:3])
