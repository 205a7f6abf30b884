// 26 · A topic that is read again: today's consumer is served as it goes, tomorrow's report reads everything from the start, and a
// consumer that comes back goes on where it was.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'naru';

const folder = mkdtempSync(join(tmpdir(), 'naru-example-26-'));
const url = `file://${folder}/tides`;

{
  await using tides = await open(url, { deliver: 'all', role: 'producer' });
  await using board = await open(url, { group: 'board' });
  await board.connect('consumer');
  await tides.sendMany([31, 44, 58]);
  for (let n = 0; n < 2; n += 1) console.log('the board shows', (await board.receive()).data, 'cm');
}

// Another day: nobody had the folder open.
{
  await using report = await open(url, { group: 'report', from: 'start' });
  const all = await report.receiveMany(3, { timeoutMs: 5_000 });
  console.log('the report has', all.map(({ data }) => data).join(', '));

  await using board = await open(url, { group: 'board' });
  console.log('the board goes on with', (await board.receive({ timeoutMs: 5_000 })).data);
}
rmSync(folder, { recursive: true });
