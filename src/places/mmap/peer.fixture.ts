// A producer or consumer of the restart tests, in a process of its own: argv is role, URL and, for producers, the first and the last
// number to send. Says on standard output what it did, before it does the next thing.

import { writeSync } from 'node:fs';
import { open } from '../../open.ts';

const [role = '', url = '', first = '0', last = '0'] = process.argv.slice(2);
const say = (text: string): void => void writeSync(1, `${text}\n`);

const mailbox = await open(url as 'mmap:///file');
say('open');
if (role === 'producer') {
  for (let number = Number(first); number <= Number(last); number += 1) {
    await mailbox.send(number);
    say(`sent ${number}`);
  }
  await mailbox.close();
} else {
  for await (const { data, deliveries } of mailbox) say(`got ${Number(data)} ${deliveries}`);
}
