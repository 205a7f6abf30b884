// A broker in a process of its own, for the scenario `broker`: says its port, and at each request the CPU time it has used.

import { Broker } from 'naru/broker';

const broker = await Broker.start({ port: 0 });
process.send?.({ port: broker.port });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMicros: user + system });
});
process.on('disconnect', () => process.exit(0));
