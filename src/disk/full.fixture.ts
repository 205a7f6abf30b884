// A process on a file system that is too small: fills it, finds the log waiting, frees room, finds it going on. Says what happened in one
// line. Arguments: a folder on that file system, `removals` or `file`: where the room comes from.

import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openLog } from './index.ts';

const [folder = '', how = ''] = process.argv.slice(2);
const body = (sequence: number): Uint8Array => new Uint8Array(1000).fill(sequence);
let wake: (() => void) | undefined;
const told = (): void => wake?.();
/** Waits until something is so; every change of the log is a reason to look again. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

// A log that waits keeps no process alive; whoever uses one has sockets or the like that do.
const alive = setInterval(() => undefined, 1000);
const filler = join(folder, 'filler');
if (how === 'file') writeFileSync(filler, Buffer.alloc(300_000, 1));
const log = await openLog(join(folder, 'log'), {
  segmentBytes: 1 << 16,
  fullRetryMs: 20,
  progress: told,
  full: told,
  failed: (error) => {
    writeSync(1, `failed ${error.message}\n`);
    process.exit(1);
  },
});
while (!log.isFull) {
  log.append([{ stream: 1, body: body(log.next) }]);
  const { next } = log;
  await until(() => log.synced === next - 1 || log.isFull);
}
// What is left of the last segment has no room for this.
log.append(Array.from({ length: 70 }, (_, index) => ({ stream: 1, body: body(log.next + index) })));
const confirmed = log.synced;
const appended = log.next - 1;
const isReadable = (await log.read(confirmed))?.body[0] === (confirmed & 255);
if (how === 'file') rmSync(filler);
else for (let sequence = 1; sequence <= confirmed; sequence += 1) log.remove(1, sequence);
await until(() => log.synced === appended && !log.isFull);
const isThere = (await log.read(appended))?.body[0] === (appended & 255);
await log.close();
clearInterval(alive);
writeSync(1, `${JSON.stringify({ confirmed, appended, isReadable, isThere })}\n`);
