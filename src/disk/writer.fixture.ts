// A process that writes a log in a folder and dies by SIGKILL at a chosen operation of its disk. What it was told is confirmed it says on
// standard output, before it goes on. Arguments: folder, operation to die at (0 = none), `before` or `after` it, level, records,
// `nosync` to make every sync do nothing.

import { writeSync } from 'node:fs';
import type { Disk, DiskFile, Level } from '../log/index.ts';
import { Log } from '../log/index.ts';
import { logClock, RealDisk } from './index.ts';

const [folder = '', dieAt = '0', when = 'before', level = 'disk', records = '300', sync = ''] =
  process.argv.slice(2);

let operation = 0;

/** Operations that change what is on the disk; the others need no crash of their own. */
async function step<T>(work: () => Promise<T>): Promise<T> {
  operation += 1;
  const isLast = operation === Number(dieAt);
  if (isLast && when === 'before') process.kill(process.pid, 'SIGKILL');
  const result = await work();
  if (isLast) process.kill(process.pid, 'SIGKILL');
  return result;
}

function mortalFile(file: DiskFile): DiskFile {
  return {
    write: (parts, offset) => step(() => file.write(parts, offset)),
    read: (into, offset) => file.read(into, offset),
    sync: () => step(() => (sync === 'nosync' ? Promise.resolve() : file.sync())),
    truncate: (bytes) => step(() => file.truncate(bytes)),
    allocate: (bytes) => step(() => file.allocate(bytes)),
    size: () => file.size(),
    close: () => file.close(),
  };
}

function mortal(disk: Disk): Disk {
  return {
    folder: disk.folder,
    list: () => disk.list(),
    create: async (name) => mortalFile(await step(() => disk.create(name))),
    open: async (name) => mortalFile(await disk.open(name)),
    rename: (from, to) => step(() => disk.rename(from, to)),
    unlink: (name) => step(() => disk.unlink(name)),
    syncFolder: () => step(() => (sync === 'nosync' ? Promise.resolve() : disk.syncFolder())),
    lock: () => disk.lock(),
  };
}

const body = (sequence: number): Uint8Array => new Uint8Array(1500).fill(sequence);
const say = (text: string): void => void writeSync(1, `${text}\n`);

const log = await Log.open(mortal(await RealDisk.open(folder)), {
  clock: logClock,
  random: (bytes) => void crypto.getRandomValues(bytes),
  segmentBytes: 1 << 16,
  lazyMs: 1,
  idleMarkMs: 1,
  progress: (written, synced) => say(`confirmed ${level === 'disk' ? synced : written}`),
});
say('open');
let removed = 0;
while (log.next <= Number(records)) {
  const first = log.append(
    Array.from({ length: 10 }, (_, index) => ({ stream: 1, body: body(log.next + index) })),
    level as Level,
  );
  await log.commit(level === 'disk' ? 'disk' : 'os');
  // Leaves every sixteenth, so that segments are written anew.
  for (let sequence = Math.max(1, first - 40); sequence < first - 30; sequence += 1) {
    if (sequence % 16 === 0) continue;
    log.remove(1, sequence);
    removed = sequence;
  }
  if (first % 50 === 1) {
    say(`asked ${removed}`);
    await log.commit('disk');
    say(`removed ${removed}`);
    await log.writeSnapshot('state', body(first));
    say(`snapshot ${first & 255}`);
  }
}
await log.close();
say(`closed ${operation}`);
