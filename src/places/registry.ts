// Which place a URL's scheme belongs to. Loads a place when it is first opened, never before: `import 'naru'` pulls in no
// socket, no addon and no engine's client. One line a place.

import type { Capabilities } from '../mailbox/capabilities.ts';
import type { Place, PlaceUrl } from '../mailbox/place.ts';
import type { activemq } from './activemq/capabilities.ts';
import type { amqp } from './amqp/capabilities.ts';
import type { fifo, fifoRaw } from './fifo/capabilities.ts';
import type { fileLog, fileRaw } from './file/capabilities.ts';
import type { http } from './http/capabilities.ts';
import type { kafka } from './kafka/capabilities.ts';
import type { memory } from './memory/capabilities.ts';
import type { mmap } from './mmap/capabilities.ts';
import type { pipe, pipeRaw } from './pipe/capabilities.ts';
import type { posixmq, posixmqRaw } from './posixmq/capabilities.ts';
import type { postgres } from './postgres/capabilities.ts';
import type { redis } from './redis/capabilities.ts';
import type { shm } from './shm/capabilities.ts';
import type { sqlite } from './sqlite/capabilities.ts';
import type { sysv, sysvRaw } from './sysv/capabilities.ts';
import type { tcp, tcpRaw } from './tcp/capabilities.ts';
import type { unix, unixRaw } from './unix/capabilities.ts';
import type { ws } from './ws/capabilities.ts';
import type { zmq, zmqIpc, zmqIpcRaw, zmqRaw } from './zmq/capabilities.ts';

/** Loads a place's folder, by scheme. */
export const PLACES: Readonly<Record<string, () => Promise<{ readonly place: Place }>>> = {
  memory: () => import('./memory/index.ts'),
  shm: () => import('./shm/index.ts'),
  unix: () => import('./unix/index.ts'),
  tcp: () => import('./tcp/index.ts'),
  sysv: () => import('./sysv/index.ts'),
  posixmq: () => import('./posixmq/index.ts'),
  mmap: () => import('./mmap/index.ts'),
  fifo: () => import('./fifo/index.ts'),
  pipe: () => import('./pipe/index.ts'),
  file: () => import('./file/index.ts'),
  sqlite: () => import('./sqlite/index.ts'),
  postgres: () => import('./postgres/index.ts'),
  ws: () => import('./ws/index.ts'),
  http: () => import('./http/index.ts'),
  kafka: () => import('./kafka/index.ts'),
  zmq: () => import('./zmq/index.ts'),
  'zmq+ipc': async () => ({ place: (await import('./zmq/index.ts')).ipcPlace }),
  redis: () => import('./redis/index.ts'),
  amqp: () => import('./amqp/index.ts'),
  activemq: () => import('./activemq/index.ts'),
};

/** Other names of schemes: the same place over TLS, as people know it. */
export const ALIASES: Readonly<Record<string, string>> = {
  wss: 'ws',
  https: 'http',
  rediss: 'redis',
  amqps: 'amqp',
};

/** Mailboxes that live in a Manager: the same schemes, with the name of an object. */
export const MANAGED: Readonly<Record<string, () => Promise<{ readonly place: Place }>>> = {
  unix: async () => managed((await import('./unix/capabilities.ts')).unix),
  tcp: async () => managed((await import('./tcp/capabilities.ts')).tcp),
};

async function managed(capabilities: Capabilities): Promise<{ readonly place: Place }> {
  return { place: (await import('../manager/mailbox.ts')).mailboxPlace(capabilities) };
}

/** Whether a URL names an object of a Manager: unix:///path.sock?name=jobs, tcp://host:port/jobs. */
export function namesObject({ scheme, path, extra }: PlaceUrl): boolean {
  if (scheme === 'unix') return extra['name'] !== undefined;
  return scheme === 'tcp' && path !== '' && path !== '/';
}

/** The same at type level: capabilities by scheme and mode, from which a literal URL gets its methods. Envelope is the default mode
 * where nothing else is said. */
export interface PlaceTypes {
  memory: { envelope: typeof memory; raw: typeof memory };
  shm: { envelope: typeof shm; raw: typeof shm };
  unix: { envelope: typeof unix; raw: typeof unixRaw };
  tcp: { envelope: typeof tcp; raw: typeof tcpRaw };
  sysv: { default: 'raw'; envelope: typeof sysv; raw: typeof sysvRaw };
  posixmq: { default: 'raw'; envelope: typeof posixmq; raw: typeof posixmqRaw };
  mmap: { envelope: typeof mmap; raw: typeof mmap };
  fifo: { default: 'raw'; envelope: typeof fifo; raw: typeof fifoRaw };
  pipe: { default: 'raw'; envelope: typeof pipe; raw: typeof pipeRaw };
  file: { envelope: typeof fileLog; raw: typeof fileRaw };
  sqlite: { envelope: typeof sqlite; raw: typeof sqlite };
  postgres: { envelope: typeof postgres; raw: typeof postgres };
  ws: { envelope: typeof ws; raw: typeof ws };
  wss: { envelope: typeof ws; raw: typeof ws };
  http: { envelope: typeof http; raw: typeof http };
  https: { envelope: typeof http; raw: typeof http };
  kafka: { envelope: typeof kafka; raw: typeof kafka };
  zmq: { default: 'raw'; envelope: typeof zmq; raw: typeof zmqRaw };
  'zmq+ipc': { default: 'raw'; envelope: typeof zmqIpc; raw: typeof zmqIpcRaw };
  redis: { envelope: typeof redis; raw: typeof redis };
  rediss: { envelope: typeof redis; raw: typeof redis };
  amqp: { envelope: typeof amqp; raw: typeof amqp };
  amqps: { envelope: typeof amqp; raw: typeof amqp };
  activemq: { envelope: typeof activemq; raw: typeof activemq };
}
