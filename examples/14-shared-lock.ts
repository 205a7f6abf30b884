// 14 · A lock that processes share. Three workers add to a number in a file; each reads it, and writes it back, under the lock. One of them is
// killed in the middle, with the lock in its hands, just when it has let the others start: the next one who gets the lock is told, and
// repairs what the dead one left half done.
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEvent, openLock } from 'naru/sync';

const [, , role, url = `shm://example-14-${process.pid}`, file = ''] = process.argv;
const TIMES = 500;

/** The account: what is in it, and a note of what is being added. */
interface Account {
  sum: number;
  adding: boolean;
}

const read = (path: string): Account => JSON.parse(readFileSync(path, 'utf8')) as Account;
const write = (path: string, account: Account): void => writeFileSync(path, JSON.stringify(account));

async function work(isFatal: boolean): Promise<void> {
  await using lock = await openLock(url);
  await using go = await openEvent(`${url}-go`);
  if (!isFatal) await go.wait();
  for (let i = 0; i < TIMES; i += 1) {
    using guard = await lock.acquire();
    const account = read(file);
    // Whoever died here had not added yet: its note is all there is to undo.
    if (guard.recovered) {
      process.send?.(`repaired: ${account.adding}`);
      account.adding = false;
    }
    write(file, { ...account, adding: true });
    if (isFatal && i === TIMES / 2) {
      go.set();
      process.kill(process.pid, 'SIGKILL');
    }
    write(file, { sum: account.sum + 1, adding: false });
  }
  process.disconnect();
}

async function main(): Promise<void> {
  // Both live as long as somebody has them open: not only the one that is killed before the others are there.
  await using _lock = await openLock(url);
  await using _go = await openEvent(`${url}-go`);
  const path = join(tmpdir(), `naru-example-14-${process.pid}.json`);
  write(path, { sum: 0, adding: false });
  const start = (kind: string): ChildProcess => fork(fileURLToPath(import.meta.url), [kind, url, path]);
  const workers = [start('worker'), start('worker'), start('fatal')];
  const ends = workers.map(
    (worker) =>
      new Promise<string>((resolve) => {
        worker.on('message', (text) => console.log(text));
        worker.on('close', (code, signal) => resolve(String(signal ?? code)));
      }),
  );
  console.log('ended:', (await Promise.all(ends)).join(', '));
  const { sum, adding } = read(path);
  console.log(`sum: ${sum} of ${2 * TIMES + TIMES / 2}, half done: ${adding}`);
  rmSync(path);
}

if (role === 'worker' || role === 'fatal') await work(role === 'fatal');
else await main();
