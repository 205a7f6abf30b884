# 19 · The original of 19-queue-and-pipe.ts: the same steps with Python's multiprocessing.Queue and Pipe. Both print the same lines.
from multiprocessing import Pipe, Process, Queue
from queue import Empty, Full


def square(tasks, results):
    for number in iter(tasks.get, None):
        results.put(number * number)


def answer(end):
    while True:
        try:
            question = end.recv()
        except EOFError:
            return
        end.send({"sum": sum(question["numbers"])})


if __name__ == "__main__":
    # A queue with room for two.
    small = Queue(maxsize=2)
    small.put("first")
    small.put("second")
    try:
        small.put("third", timeout=0.05)
        print("full: taken")
    except Full:
        print("full: refused")
    print("in order:", small.get(), small.get())
    try:
        small.get(timeout=0.05)
        print("empty: something")
    except Empty:
        print("empty: refused")

    # A queue that two processes take from, and one that they put into.
    tasks, results = Queue(), Queue()
    workers = [Process(target=square, args=(tasks, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for number in range(1, 9):
        tasks.put(number)
    print("squares:", *sorted(results.get() for _ in range(8)))
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()
    print("workers ended:", *[worker.exitcode for worker in workers])

    # A pipe in both directions, to one child.
    ours, theirs = Pipe()
    child = Process(target=answer, args=(theirs,))
    child.start()
    theirs.close()
    print("nothing yet:", ours.poll())
    ours.send({"numbers": [1, 2, 3]})
    print("answer:", ours.recv()["sum"])
    ours.send({"numbers": [40, 2]})
    print("answer:", ours.recv()["sum"])
    child.terminate()
    child.join()
    try:
        ours.recv()
        print("the other end is gone: something")
    except EOFError:
        print("the other end is gone: refused")
