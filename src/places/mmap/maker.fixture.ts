// A process that makes a mailbox in a mapped file, sends one message, closes it, and kills itself with SIGKILL when it comes to a step.
// argv: the path, the step.

import { defaultEdges } from '../../mapped-ring/edges.ts';
import { openMmap } from './index.ts';
import { addressOf, resolveOptions } from './options.ts';
import { parseUrl, placeOptions } from '../../mailbox/parse-url.ts';

const [path = '', step = ''] = process.argv.slice(2);
const url = addressOf(path);
const { parts, stated } = parseUrl(url);
const options = resolveOptions(parts, placeOptions(stated, new AbortController().signal));
const nothing = (): void => undefined;
const hooks = {
  readable: nothing,
  writable: nothing,
  peers: nothing,
  reply: nothing,
  event: nothing,
  failed: nothing,
};
const failpoint = (name: string): void => {
  if (name === step) process.kill(process.pid, 'SIGKILL');
};
const driver = await openMmap(options, {}, undefined, hooks, { ...defaultEdges('mmap://'), failpoint });
const sender = await driver.attachSender();
const body = Buffer.from('"kept"');
sender.offer([{ body, sequence: 1, time: 1, fields: undefined, confirm: undefined, done: undefined }], 0);
await sender.close();
await driver.close();
