// The process that broker-process.fixture.ts starts: a broker with the options it is given, which says what it has when asked.

import { Broker, type BrokerOptions } from '../index.ts';

/** What the process says. */
export interface Said {
  readonly port: number;
  readonly httpPort: number;
  readonly connections: number;
  readonly connectionsMax: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly failures: readonly string[];
  readonly queued: readonly { readonly queue: string; readonly messages: number }[];
}

const failures: string[] = [];
// A mistake of the broker that nobody caught must fail the test that provoked it, not end the process unseen.
process.on('uncaughtException', (error) => failures.push(String(error.stack)));
process.on('unhandledRejection', (error) => failures.push(String(error)));
process.on('disconnect', () => process.exit(0));

const { readdirSync } = await import('node:fs');
const broker = await Broker.start(JSON.parse(process.argv[2] ?? '{}') as BrokerOptions);
broker.on('error', (error: Error) => failures.push(String(error.stack)));

function say(): void {
  const said: Said = {
    port: broker.port,
    httpPort: broker.httpPort,
    connections: broker.connections.length,
    connectionsMax: broker.connectionsMax,
    rssBytes: process.memoryUsage.rss(),
    descriptors: readdirSync('/proc/self/fd').length,
    failures,
    queued: broker.queuedMessages,
  };
  process.send?.(said);
}

process.on('message', say);
say();
