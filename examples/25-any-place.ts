// 25 · One program, any place: only the URL differs. Give it URLs of your engines:
//   npm run example 25 -- 'postgres://user:password@host/db?mailbox=ferry' 'kafka://host:9092?topic=ferry&create=if-missing'
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'naru';

const folder = mkdtempSync(join(tmpdir(), 'naru-example-25-'));

/** What needs no server: everything but the engines. */
const LOCAL: readonly string[] = [
  'memory://ferry',
  'shm://ferry-25',
  `mmap://${folder}/ring`,
  `unix://${folder}/ferry.sock`,
  'tcp://127.0.0.1:0?listen',
  'http://127.0.0.1:0/ferry?listen',
  'ws://127.0.0.1:0/ferry?listen',
  'zmq://127.0.0.1:0?pattern=pull&bind',
  `sysv://${folder}?project=1`,
  `posixmq://ferry-25-${process.pid}`,
  `fifo://${folder}/fifo`,
  `file://${folder}/log`,
  `sqlite://${folder}/app.db?mailbox=ferry`,
];

/** The program: it knows no place. */
async function cross(url: string, isMine: boolean): Promise<string> {
  await using there = await open(url);
  await there.connect('consumer');
  // What listens on a free port says on which one; the URL of an engine is the same for both ends.
  await using here = await open(/[?&](listen|bind)\b/.test(url) ? there.address : url);
  const passengers = ['Ara', 'Bora', 'Chan'];
  const { reached } = await here.sendMany(passengers);
  const arrived: unknown[] = [];
  for await (const message of there) {
    arrived.push(message.data);
    if (arrived.length === passengers.length) break;
  }
  if (isMine) await there.unlink(); // the kernel's queues and shared memory would outlive the process
  return `${arrived.join(', ')} (${reached})`;
}

const given = process.argv.slice(2);
for (const url of given.length > 0 ? given : LOCAL) {
  const scheme = url.slice(0, url.indexOf(':'));
  console.log(`${scheme}: ${await cross(url, given.length === 0)}`);
}
rmSync(folder, { recursive: true });
