// A process that writes numbered values to a plain file as fast as it can, until it is killed. argv: the URL, how many bytes each has.

import { writeSync } from 'node:fs';
import { open } from '../../open.ts';

const [url = '', bytes = '1000'] = process.argv.slice(2);
const mailbox = await open(url as 'file:///a?format=raw', { confirm: 'placed' });
const filler = 'x'.repeat(Number(bytes));
for (let number = 1; ; number += 1) {
  await mailbox.send({ number, filler, end: number });
  if (number === 1) writeSync(1, 'writing\n');
}
