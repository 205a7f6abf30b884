// 19 · What Python's multiprocessing.Queue and Pipe do: a queue with room for two, a queue that two processes take from, a pipe in both
// directions to one child. 19-queue-and-pipe.py is the original; both print the same lines.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNaruError, open } from 'naru';
import { pipe } from 'naru/kernel';

const FILE = fileURLToPath(import.meta.url);
const [, , role, name = `example-19-${process.pid}`] = process.argv;
const SHORT = { timeoutMs: 50 };

/** Two processes share these two. Any number of processes may put and take. */
const openTasks = () => open(`shm://${name}-tasks`);
const openResults = () => open(`shm://${name}-results`);

/** `refused` when the call took too long or the other end is gone. */
async function tried(call: Promise<unknown>, otherwise: string): Promise<string> {
  try {
    await call;
    return otherwise;
  } catch (error) {
    if (isNaruError(error, 'NARU_TIMEOUT') || isNaruError(error, 'NARU_CLOSED')) return 'refused';
    throw error;
  }
}

async function square(): Promise<void> {
  await using tasks = await openTasks();
  await using results = await openResults();
  for await (const { data } of tasks) {
    if (data === null) return;
    await results.send((data as number) ** 2);
  }
}

/** Answers at the end of the pipe that it was started with. */
async function answer(): Promise<void> {
  await using end = await open('pipe://fd/3/4?format=envelope');
  for await (const { data } of end) {
    const { numbers } = data as { numbers: number[] };
    await end.send({ sum: numbers.reduce((sum, number) => sum + number, 0) });
  }
}

async function smallQueue(): Promise<void> {
  await using small = await open(`unix://${join(tmpdir(), name)}.sock?depth=2`);
  await small.send('first');
  await small.send('second');
  console.log('full:', await tried(small.send('third', SHORT), 'taken'));
  const [first, second] = [await small.receive(), await small.receive()];
  console.log('in order:', first.data, second.data);
  console.log('empty:', await tried(small.receive(SHORT), 'something'));
}

async function sharedQueue(): Promise<void> {
  await using tasks = await openTasks();
  await using results = await openResults();
  const workers = [1, 2].map(() => fork(FILE, ['square', name]));
  const ends = workers.map((worker: ChildProcess) => once(worker, 'exit'));
  for (let number = 1; number <= 8; number += 1) await tasks.send(number);
  const squares: number[] = [];
  while (squares.length < 8) squares.push((await results.receive()).data as number);
  console.log('squares:', ...squares.toSorted((a, b) => a - b));
  for (const _ of workers) await tasks.send(null);
  console.log('workers ended:', ...(await Promise.all(ends)).map(([code]) => code as number));
}

async function twoWayPipe(): Promise<void> {
  const both = pipe();
  const stdio = ['ignore', 'inherit', 'inherit', both.stdio[0], both.stdio[1], 'ipc'] as const;
  const child = fork(FILE, ['answer'], { stdio: [...stdio] });
  const exit = once(child, 'exit');
  both.release(); // the child has them now
  const { reader, writer } = both.handOver();
  await using ours = await open(`pipe://fd/${reader}/${writer}?format=envelope`);
  await ours.connect('consumer'); // a call that never waits needs its seat beforehand
  console.log('nothing yet:', ours.tryReceive() === undefined ? 'False' : 'True');
  for (const numbers of [
    [1, 2, 3],
    [40, 2],
  ]) {
    await ours.send({ numbers });
    console.log('answer:', ((await ours.receive()).data as { sum: number }).sum);
  }
  child.kill();
  await exit;
  console.log('the other end is gone:', await tried(ours.receive(), 'something'));
}

if (role === 'square') await square();
else if (role === 'answer') await answer();
else {
  await smallQueue();
  await sharedQueue();
  await twoWayPipe();
}
