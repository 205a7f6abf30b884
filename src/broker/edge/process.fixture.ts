// A broker in a process of its own, to be killed. Arguments: folder, `disk` or `os`. Says its port, and what storage did, one JSON object a
// line; it stays when its broker has stopped: an embedded broker never ends its host.

import { writeSync } from 'node:fs';
import { Broker } from './broker.ts';

const [dataDir = '', sync = 'disk'] = process.argv.slice(2);
const say = (what: object): void => void writeSync(1, `${JSON.stringify(what)}\n`);

const broker = await Broker.start({ port: 0, dataDir, sync: sync === 'os' ? 'os' : 'disk' });
broker.on('error', (error: Error & { code?: string }) => say({ error: error.code ?? error.message }));
const { user, system } = process.cpuUsage();
say({ port: broker.port, recovered: broker.recovered, cpuMs: (user + system) / 1000 });
// Whatever becomes of the broker, the host goes on.
setInterval(() => undefined, 1000);
