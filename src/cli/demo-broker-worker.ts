// The process in which the demo's broker runs: says its port, and ends with its parent, whatever ends that. Not a command.

import { Broker } from '../broker/index.ts';

// The parent decides when to stop, also at Ctrl-C, which reaches the whole group.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
const broker = await Broker.start({ port: 0 });
process.send?.(broker.port);
