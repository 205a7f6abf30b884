// 25 · One program, any place: only the URL differs, and the program names what it needs. Give it URLs of your engines:
//   npm run example 25 -- 'postgres://user:password@host/db?mailbox=ferry' 'kafka://host:9092?topic=ferry&create=if-missing'
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'naru';

const folder = mkdtempSync(join(tmpdir(), 'naru-example-25-'));

/** What needs no server. */
const LOCAL: readonly string[] = [
  'memory://ferry',
  'shm://ferry-25',
  `mmap://${folder}/ring`,
  `unix://${folder}/ferry.sock`,
  'tcp://127.0.0.1:0?listen',
  `file://${folder}/log`,
  `sqlite://${folder}/app.db?mailbox=ferry`,
];

/** The program: it knows no place. */
async function cross(url: string): Promise<string> {
  await using ferry = await open(url, { needs: ['ack'], settle: 'manual' });
  await ferry.connect('consumer');
  const passengers = ['Ara', 'Bora', 'Chan'];
  const { reached } = await ferry.sendMany(passengers);
  const arrived: unknown[] = [];
  while (arrived.length < passengers.length) {
    const message = await ferry.receive({ timeoutMs: 15_000 });
    arrived.push(message.data);
    await message.ack();
  }
  return `${arrived.join(', ')} (${reached})`;
}

const given = process.argv.slice(2);
for (const url of given.length > 0 ? given : LOCAL) {
  const scheme = url.slice(0, url.indexOf(':'));
  console.log(`${scheme}: ${await cross(url)}`);
}
rmSync(folder, { recursive: true });
