// 22 · What the dict and the list of Python's multiprocessing.Manager do: two processes share both. 22-manager.py is the original; both print
// the same lines.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Manager, openList, openMap } from 'naru/state';

const [, , name, address] = process.argv;
/** As Python prints it. */
const yes = (is: boolean): string => (is ? 'True' : 'False');

/** The key comes from NARU_MANAGER_KEY. */
async function work(me: string, url: string): Promise<void> {
  await using totals = await openMap(`${url}?name=totals`);
  await using log = await openList(`${url}?name=log`);
  for (let number = 1; number <= 3; number += 1) {
    await log.push(`${me} ${number}`);
    await totals.update('sum', (sum) => (sum as number) + number); // needs no lock
  }
  await totals.set(me, { done: true });
}

async function share(): Promise<void> {
  await using manager = await Manager.start({
    listen: `unix://${join(tmpdir(), `example-22-${process.pid}.sock`)}`,
  });
  const { url, key } = manager;
  await using totals = await openMap(`${url}?name=totals`, { key, needs: ['iterate'] });
  await using log = await openList(`${url}?name=log`, { key });

  // Two processes write to both.
  await totals.set('sum', 0);
  const env = { ...process.env, NARU_MANAGER_KEY: key };
  const workers = ['ann', 'bob'].map((who) => fork(fileURLToPath(import.meta.url), [who, url], { env }));
  const ends = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  console.log('workers ended:', ...ends.map(([code]) => code as number));

  // What they left in the map.
  console.log('sum:', await totals.get('sum'));
  const keys: string[] = [];
  for await (const one of totals.keys()) keys.push(one);
  console.log('keys:', ...keys.toSorted());
  const ann = (await totals.get('ann')) as { done: boolean };
  console.log('ann is done:', yes(ann.done));
  console.log('nobody:', (await totals.get('nobody')) ?? 'none');
  await totals.delete('bob');
  console.log('after a delete:', await totals.size(), yes(await totals.has('bob')));

  // A nested change throws a TypeError: what is shared stays as it was, and it is said.
  try {
    ann.done = false;
  } catch {
    console.log('after a nested change:', yes(((await totals.get('ann')) as { done: boolean }).done));
  }

  // What they left in the list.
  console.log('lines:', await log.length());
  console.log(['sorted:', ...(await log.slice()).map(String).toSorted()].join('\n  '));
  await log.splice(0, await log.length(), 'a', 'b', 'c', 'd');
  await log.set(1, 'B');
  await log.insert(0, 'first');
  console.log('list:', ...(await log.slice()));
  console.log('ends:', await log.shift(), await log.pop(), await log.get(-1));
  console.log('part:', ...(await log.slice(1, 3)));
}

if (name !== undefined && address !== undefined) await work(name, address);
else await share();
