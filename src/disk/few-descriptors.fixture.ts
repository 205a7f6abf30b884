// A process that uses up its descriptors while it writes a log, and gives them back: says what became of the log. Argument: the folder.

import { closeSync, openSync, writeSync } from 'node:fs';
import { openLog } from './index.ts';

const [folder = ''] = process.argv.slice(2);
const taken: number[] = [];
const states: boolean[] = [];
const log = await openLog(folder, {
  segmentBytes: 1 << 16,
  fullRetryMs: 20,
  full: (isFull) => {
    states.push(isFull);
    for (const fd of taken.splice(0)) closeSync(fd);
  },
});
await log.commit('disk');
for (;;) {
  try {
    taken.push(openSync('/dev/null', 'r'));
  } catch {
    break;
  }
}
const count = taken.length;
// Some segments: the next one finds no descriptor.
for (let record = 0; record < 200; record += 1) log.append([{ stream: 1, body: new Uint8Array(4000) }]);
await log.commit('disk');
await log.close();
writeSync(1, JSON.stringify({ taken: count, states, synced: log.synced, failure: log.failure?.message }));
