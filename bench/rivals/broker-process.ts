// A broker in a process of its own, for the scenario `broker`: says its port. With a folder as its argument it stores there, and
// confirms what fdatasync has put on the disk.

import { Broker } from 'naru/broker';

const dataDir = process.argv[2];
const broker = await Broker.start({ port: 0, ...(dataDir !== undefined && { dataDir, sync: 'disk' }) });
process.send?.({ port: broker.port });
process.on('disconnect', () => process.exit(0));
