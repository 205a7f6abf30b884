// A process with a log mailbox on a disk that is about to fail. argv: the folder, and what to do.
//   write  sends numbers for ever, and writes each once its receipt says that it is on the disk
//   fill   sends until nothing more fits, finds taking going on, frees room, and tells in one line what happened

import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isNaruError } from '../../errors/index.ts';
import { open } from '../../open.ts';

const [folder = '', task = ''] = process.argv.slice(2);
const filler = join(dirname(folder), 'filler');
const body = 'x'.repeat(1_000);
if (task === 'fill') writeFileSync(filler, Buffer.alloc(300_000, 1));
const mailbox = await open(`file://${folder}?segment=64KiB`, { codec: 'text', confirm: 'durable' });

async function write(): Promise<void> {
  for (let number = 1; ; number += 8) {
    const sends = Array.from({ length: 8 }, (_, i) => mailbox.send(String(number + i)));
    for (const [i, sent] of sends.entries()) {
      await sent;
      writeSync(1, `${number + i}\n`);
    }
  }
}

async function fill(): Promise<void> {
  let sent = 0;
  let code = '';
  while (code === '') {
    try {
      await mailbox.send(`${sent + 1}:${body}`, { timeoutMs: 500 });
      sent += 1;
    } catch (error) {
      code = isNaruError(error) ? error.code : String(error);
    }
  }
  const taken = (await mailbox.receive({ timeoutMs: 5_000 })).data;
  rmSync(filler);
  const late = await mailbox.send(`late:${body}`, { timeoutMs: 10_000 });
  const seen = new Set<string>([taken.split(':')[0] ?? '']);
  while (!seen.has('late')) seen.add((await mailbox.receive({ timeoutMs: 5_000 })).data.split(':')[0] ?? '');
  const lost = Array.from({ length: sent }, (_, i) => String(i + 1)).filter((n) => !seen.has(n));
  await mailbox.close();
  writeSync(1, `${JSON.stringify({ sent, code, reached: late.reached, lost })}\n`);
}

await (task === 'fill' ? fill() : write());
