// naru broker: the AMQP broker as a program.

import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { isNaruError } from '../errors/index.ts';
import { Broker, LIMITS, type BrokerOptions, type Definitions } from '../broker/index.ts';
import { command, wholeNumber, type Command, type Invocation } from './command.ts';
import { dataFolder } from './data-folder.ts';
import { ConfigError, EXIT, tell, UsageError } from './exit.ts';
import { note, print } from './output.ts';

const ARGS = {
  host: { type: 'string', valueHint: 'address', description: 'address to listen on (default 127.0.0.1)' },
  port: { type: 'string', valueHint: 'n', description: 'port of AMQP (default 5672; 0 picks a free one)' },
  socket: { type: 'string', valueHint: 'path', description: 'a Unix socket to listen on as well' },
  'http-port': {
    type: 'string',
    valueHint: 'n',
    description: 'port of HTTP (default 15672; 0 picks a free one)',
  },
  'http-host': { type: 'string', valueHint: 'address', description: 'address of HTTP (default 127.0.0.1)' },
  'no-http': { type: 'boolean', description: 'no HTTP' },
  data: {
    type: 'string',
    valueHint: 'folder',
    description: 'folder for what is durable (default $XDG_STATE_HOME/naru or ~/.local/state/naru)',
  },
  memory: { type: 'boolean', description: 'nothing on disk' },
  sync: {
    type: 'string',
    valueHint: 'level',
    description:
      'what confirmed means: disk (survives a loss of power; default), os (a kill), memory (neither)',
  },
  'keep-transient': {
    type: 'boolean',
    description: 'a clean stop keeps transient messages and queues too',
  },
  'max-connections': { type: 'string', valueHint: 'n', description: 'connections at a time (default 10000)' },
  'memory-limit': {
    type: 'string',
    valueHint: 'bytes',
    description: 'publishers wait above it (default 1 GiB)',
  },
  definitions: {
    type: 'string',
    valueHint: 'file',
    description: "RabbitMQ's definitions to begin with, as JSON",
  },
  'tls-port': { type: 'string', valueHint: 'n', description: 'port of AMQP over TLS' },
  'tls-cert': { type: 'string', valueHint: 'file', description: 'certificate, PEM' },
  'tls-key': { type: 'string', valueHint: 'file', description: 'its key, PEM' },
  json: { type: 'boolean', description: 'one line of JSON when it takes connections, nothing else' },
} as const;

const HTTP_PORT = 15_672;
const PORT_MAX = 65_535;

export const broker: Command = command({
  name: 'broker',
  description: "An AMQP 0-9-1 broker that RabbitMQ's clients use unchanged",
  args: ARGS,
  notes: `
Durable exchanges and queues, and persistent messages in durable queues, are in the data folder: what is confirmed is on the disk.
One broker at a time has a folder. Everything else is in memory; a clean stop (SIGTERM, SIGINT) says how many messages of which queues
that were, and --keep-transient keeps them. A full disk makes publishers wait; a disk that fails ends the broker.
The user guest with the password guest can log in from this machine; definitions that name users replace it.
Exit codes: 0 stopped, 1 failed, 2 wrong usage, 70 the disk failed, 71 the data folder is damaged, 78 bad configuration.`,
  examples: [
    'naru broker',
    'naru broker --data /var/lib/naru --sync disk',
    'naru broker --memory --port 0 --http-port 0 --json',
    'naru broker --definitions definitions.json',
  ],
  run,
});

async function run({ args, all, ending }: Invocation<typeof ARGS>): Promise<number> {
  // citty reads --no-x as x=false; what was written is what counts.
  const options = await optionsOf(args, all('no-http').length === 0);
  const running = await startWith(options);
  const { port, httpPort, tlsPort, connectionsMax } = running;
  const wanted = options.limits?.connectionsMax ?? LIMITS.connectionsMax.default;
  if (connectionsMax < wanted) {
    note(
      `broker: open files are limited, so it takes ${connectionsMax} connections and not ${wanted}; raise ulimit -n`,
    );
  }
  const failed = new Promise<void>((resolve) => {
    running.on('error', (error: Error) => {
      tell(error);
      if (running.failure !== undefined) resolve();
    });
  });
  if (args.json === true) {
    const tls = tlsPort === 0 ? {} : { tls: tlsPort };
    await print(`${JSON.stringify({ ready: true, amqp: port, http: httpPort, ...tls, pid: process.pid })}\n`);
  } else {
    const http = httpPort === 0 ? '' : `, HTTP on port ${httpPort}`;
    note(`broker: AMQP on ${options.host ?? '127.0.0.1'}:${port}${http}; ${placeOf(options)}`);
  }
  await Promise.race([aborted(ending.signal), failed]);
  await running.stop();
  for (const { vhost, queue, exchange = '', messages } of running.lost) {
    const where = queue === undefined ? `exchange '${exchange}'` : `queue '${queue}'`;
    note(`broker: ${messages} messages of ${where} in vhost '${vhost}' were in memory only and are gone`);
  }
  if (running.failure !== undefined) throw running.failure;
  return ending.stopped?.exitCode ?? EXIT.done;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

function placeOf({ dataDir, sync = 'disk' }: BrokerOptions): string {
  return dataDir === undefined ? 'everything is in memory' : `data in ${dataDir}, sync ${sync}`;
}

const LEVELS = ['disk', 'os', 'memory'] as const;

/** @throws UsageError */
function storageOf(args: Args): Pick<BrokerOptions, 'dataDir' | 'sync' | 'keepTransient'> {
  const { data, memory, sync } = args;
  if (memory === true) {
    if (data !== undefined || sync !== undefined || args['keep-transient'] === true)
      throw new UsageError('--memory keeps nothing: leave out --data, --sync and --keep-transient');
    return {};
  }
  const level = LEVELS.find((known) => known === (sync ?? 'disk'));
  if (level === undefined) throw new UsageError(`--sync is ${LEVELS.join(', ')}, not ${String(sync)}`);
  return { dataDir: data ?? dataFolder(), sync: level, keepTransient: args['keep-transient'] === true };
}

/** @throws ConfigError  the definitions are wrong; and whatever Broker.start() throws */
async function startWith(options: BrokerOptions): Promise<Broker> {
  try {
    return await Broker.start(options);
  } catch (error) {
    if (options.definitions === undefined || !isNaruError(error, 'NARU_INVALID_ARGUMENT')) throw error;
    throw new ConfigError(error.message);
  }
}

type Args = Invocation<typeof ARGS>['args'];

/** @throws UsageError, ConfigError */
async function optionsOf(args: Args, hasHttp: boolean): Promise<BrokerOptions> {
  const connectionsMax = wholeNumber(args['max-connections'], 'max-connections', 1, 1_000_000);
  const memoryBytesMax = wholeNumber(args['memory-limit'], 'memory-limit', 1, Number.MAX_SAFE_INTEGER);
  const httpPort = wholeNumber(args['http-port'], 'http-port', 0, PORT_MAX) ?? HTTP_PORT;
  const port = wholeNumber(args.port, 'port', 0, PORT_MAX);
  const tls = await tlsOf(args);
  return {
    ...storageOf(args),
    ...(args.host === undefined ? {} : { host: args.host }),
    ...(port === undefined ? {} : { port }),
    ...(args.socket === undefined ? {} : { socketPath: args.socket }),
    ...(hasHttp ? { httpPort } : {}),
    ...(args['http-host'] === undefined ? {} : { httpHost: args['http-host'] }),
    ...(tls === undefined ? {} : { tls }),
    ...(args.definitions === undefined ? {} : { definitions: await definitionsOf(args.definitions) }),
    limits: {
      ...(connectionsMax === undefined ? {} : { connectionsMax }),
      ...(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
    },
  };
}

async function tlsOf(args: Args): Promise<NonNullable<BrokerOptions['tls']> | undefined> {
  const port = wholeNumber(args['tls-port'], 'tls-port', 0, PORT_MAX);
  const { 'tls-cert': cert, 'tls-key': key } = args;
  if (port === undefined && cert === undefined && key === undefined) return undefined;
  if (port === undefined || cert === undefined || key === undefined) {
    throw new ConfigError('--tls-port, --tls-cert and --tls-key belong together: give all three');
  }
  return { port, cert: await read(cert), key: await read(key) };
}

async function definitionsOf(file: string): Promise<Definitions> {
  try {
    return JSON.parse((await read(file)).toString()) as Definitions;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${file} is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new ConfigError(`${file} cannot be read: ${error instanceof Error ? error.message : ''}`);
  }
}
