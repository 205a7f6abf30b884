// 11 · A burst queue: a photo studio's requests over shared memory. Front desks send bursts of jobs and go home; workers compete
// for them, urgent ones first. Some workers crash in the middle of a photo: what they had not acked goes to the others, marked.
// Nothing is lost, and no process holds the queue: any of them may die. This file is all the programs, told apart by arguments.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { open } from 'naru';

const DESKS = ['north', 'south', 'station', 'airport'];
const WORKERS = [
  { name: 'Ara', isClumsy: false },
  { name: 'Bora', isClumsy: true },
  { name: 'Chan', isClumsy: false },
  { name: 'Dae', isClumsy: true },
];
const USUAL_OF_EACH = 7;
const URGENT_OF_EACH = 3;

/** What a worker writes into the studio's book. */
interface Note {
  readonly worker: string;
  readonly photo: string;
  readonly what: 'begun' | 'done';
  readonly isUrgent: boolean;
  readonly isRedelivered: boolean;
  /** When it was written, in milliseconds since the epoch. */
  readonly time: number;
}

async function frontDesk(jobsUrl: string, name: string): Promise<void> {
  await using jobs = await open(jobsUrl, { role: 'producer', codec: 'text', needs: ['priority'] });
  const photos = (kind: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${name} ${kind} ${index + 1}`);
  await jobs.sendMany(photos('portrait', USUAL_OF_EACH));
  await jobs.sendMany(photos('passport', URGENT_OF_EACH), { priority: 1 }); // sent last, and yet the first to be done
}

async function worker(jobsUrl: string, bookUrl: string, doorUrl: string, name: string): Promise<void> {
  await using door = await open(doorUrl, { role: 'consumer' });
  await using book = await open(bookUrl, { role: 'producer' });
  await using jobs = await open(jobsUrl, { role: 'consumer', codec: 'text', needs: ['priority'] });
  const opened = door.receive();
  // The handler gets one photo at a time; it is acked when the handler has resolved.
  const consumption = jobs.consume(async ({ data: photo, priority, redelivered }) => {
    const facts = { worker: name, photo, isUrgent: priority === 1, isRedelivered: redelivered };
    await book.send({ ...facts, what: 'begun' }); // placed: what is in the book survives this process
    await opened;
    await setTimeout(2); // the work
    if (WORKERS.some((one) => one.name === name && one.isClumsy)) process.kill(process.pid, 'SIGKILL');
    await book.send({ ...facts, what: 'done' });
  });
  await consumption.finished;
}

async function studio(): Promise<void> {
  const name = `shm://example-11-${process.pid}`;
  await using jobs = await open(`${name}-jobs?priorities=2`, { codec: 'text' });
  await using book = await open(`${name}-book?consumers=1`, { role: 'consumer' });
  await using door = await open(`${name}-door?deliver=all`, { role: 'producer' });

  // Before opening hours nobody works: the bursts wait in the mailbox, while the desks have long gone home.
  const desks = DESKS.map((desk) => start('desk', jobs.address, desk));
  await Promise.all(desks.map((desk) => once(desk, 'exit')));
  const waiting = (await jobs.stats()).place.depth;
  console.log(`${DESKS.length} front desks sent ${waiting} requests and went home`);

  const team = WORKERS.map((one) => start('worker', jobs.address, book.address, door.address, one.name));
  const ends = team.map(async (one) => (await once(one, 'exit')) as [number | null, string | null]);
  const notes: Note[] = [];
  for await (const { data, time } of book) {
    notes.push({ ...(data as Omit<Note, 'time'>), time });
    // The doors open when everybody has a photo in hand: so whoever crashes does it in the middle of one.
    if (notes.length === WORKERS.length) await door.send('open');
    if (notes.filter(({ what }) => what === 'done').length === waiting) break;
  }
  await jobs.end(); // the workers' consume() finishes: nothing is left, in the mailbox or in anybody's hands
  const crashed = (await Promise.all(ends)).filter(([, signal]) => signal === 'SIGKILL').length;
  console.log(`${WORKERS.length} workers competed for them; ${crashed} crashed in the middle of a photo`);
  report(notes, waiting);
  console.log(`left in the mailbox: ${(await jobs.stats()).place.depth}`);
}

function report(notes: readonly Note[], requests: number): void {
  const done = notes.filter(({ what }) => what === 'done');
  const photos = new Set(done.map(({ photo }) => photo));
  console.log(`${photos.size} done, ${requests - photos.size} lost, ${done.length - photos.size} done twice`);

  const begun = notes.filter(({ what }) => what === 'begun').sort((a, b) => a.time - b.time);
  const doneBy = new Map(done.map(({ photo, worker: name }) => [photo, name]));
  const dropped = begun.filter(({ photo, worker: name }) => doneBy.get(photo) !== name);
  const rescued = dropped.filter(({ photo }) => doneBy.has(photo));
  console.log(`photos of those who crashed: ${dropped.length}, done by others: ${rescued.length}`);
  console.log(`marked as redelivered: ${done.filter(({ isRedelivered }) => isRedelivered).length}`);

  const firstHalf = begun.filter(({ isRedelivered }) => !isRedelivered).slice(0, requests / 2);
  const urgent = firstHalf.filter(({ isUrgent }) => isUrgent).length;
  console.log(`urgent ones: ${DESKS.length * URGENT_OF_EACH}, begun in the first half: ${urgent}`);
}

function start(...args: string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args);
}

const [program, ...given] = process.argv.slice(2);
const [first = '', second = '', third = '', fourth = ''] = given;
if (program === 'desk') await frontDesk(first, second);
else if (program === 'worker') await worker(first, second, third, fourth);
else await studio();
