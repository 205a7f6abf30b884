// Maps on engines against the engines' own clients: the same server, the same texts, the same number of calls under way. Every
// contestant has a server of its own, started for it.

import { load } from '../harness/optional-package.ts';
import { type SharedMap, openMap } from '#naru/open-state';
import { type Engine, type Running, startEngine } from '#naru/engines/engine.fixture';
import { memcached } from '#naru/engines/memcached.fixture';
import { redis } from '#naru/engines/redis.fixture';
import { BODY_BYTES } from '../harness/bodies.ts';
import type { Duel, NearEnd } from '../harness/duel.ts';

/** Calls under way at a time: what a server process with some load has. */
export const WINDOW = 64;
const KEYS = 1000;
const VALUE = 'v'.repeat(BODY_BYTES);

export type Call = 'get' | 'set';

/** A client that is connected. */
interface Client {
  get(key: string): Promise<unknown>;
  set(key: string, value: string): Promise<unknown>;
  close(): Promise<unknown> | void;
}

interface RedisPackage {
  readonly createClient: (options: object) => Client & { connect(): Promise<unknown> };
}

interface MemcachePackage {
  readonly Memcache: new (
    node: string,
  ) => {
    connect(): Promise<unknown>;
    get(key: string): Promise<unknown>;
    set(key: string, value: string): Promise<unknown>;
    quit(): Promise<unknown>;
  };
}

async function naruClient({ url }: Running): Promise<Client> {
  const map: SharedMap<string> = await openMap(`${url}?map=bench`, { codec: 'text' });
  return map;
}

async function redisClient({ url }: Running, more: object = {}): Promise<Client> {
  const { createClient } = (await load('@redis/client')) as RedisPackage;
  const client = createClient({ url, ...more });
  await client.connect();
  return client;
}

/** Without the package's time limit for each command, which Naru switches off too. */
function bareRedisClient(running: Running): Promise<Client> {
  return redisClient(running, { commandOptions: { timeout: 0 } });
}

async function memcacheClient({ site }: Running): Promise<Client> {
  const { Memcache } = (await load('memcache')) as MemcachePackage;
  const client = new Memcache(`127.0.0.1:${site.port}`);
  await client.connect();
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    close: () => client.quit(),
  };
}

async function openNear(
  engine: Engine,
  call: Call,
  connect: (running: Running) => Promise<Client>,
): Promise<NearEnd> {
  const running = await startEngine(engine);
  const client = await connect(running);
  const keys = Array.from({ length: KEYS }, (_, i) => `key:${i}`);
  for (const key of keys) await client.set(key, VALUE);
  const one = async (at: number): Promise<void> => {
    const key = keys[at % KEYS] as string;
    if (call === 'set') await client.set(key, VALUE);
    else if ((await client.get(key)) !== VALUE) throw new Error(`a wrong value for ${key}`);
  };
  return {
    address: '',
    async run(count) {
      const started = process.hrtime.bigint();
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < count) await one((next += 1));
      };
      await Promise.all(Array.from({ length: WINDOW }, lane));
      return { kind: 'throughput', messages: count, nanoseconds: Number(process.hrtime.bigint() - started) };
    },
    async close() {
      await client.close();
      await running.stop();
    },
  };
}

type Who = 'naru' | 'client' | 'client-bare';

interface Contestant {
  readonly who: Who;
  readonly label: string;
  readonly connect: (running: Running) => Promise<Client>;
  /** What must be installed for it. */
  readonly needs?: string;
}

function duel(engine: Engine, call: Call, { who, label, connect, needs }: Contestant): Duel {
  return {
    id: mapDuelId(engine, call, who),
    kind: 'throughput',
    label,
    isNaru: who === 'naru',
    far: 'same',
    serialization: 'json',
    async prepare() {
      if (engine.program() === undefined)
        throw new Error(`${engine.name} is not installed: npm run test:engines installs it`);
      if (needs !== undefined) await load(needs);
    },
    openNear: () => openNear(engine, call, connect),
    openFar: () => Promise.resolve({ run: () => Promise.resolve(), close: () => Promise.resolve() }),
  };
}

export function mapDuelId(engine: Engine, call: Call, who: Who): string {
  return `map-${engine.name}-${call}-${who}`;
}

/** The contestants of one engine and call. */
export function engineMapDuels(engine: Engine, call: Call): readonly Duel[] {
  const naru: Contestant = {
    who: 'naru',
    label: `Naru ${engine.name}://, map.${call}()`,
    connect: naruClient,
    ...(engine === redis ? { needs: '@redis/client' } : {}),
  };
  const rivals: readonly Contestant[] =
    engine === redis
      ? [
          { who: 'client', label: `@redis/client, ${call}()`, connect: redisClient, needs: '@redis/client' },
          {
            who: 'client-bare',
            label: `@redis/client, ${call}(), no time limits`,
            connect: bareRedisClient,
            needs: '@redis/client',
          },
        ]
      : [{ who: 'client', label: `memcache, ${call}()`, connect: memcacheClient, needs: 'memcache' }];
  return [naru, ...rivals].map((one) => duel(engine, call, one));
}

export const MAP_ENGINES: readonly Engine[] = [redis, memcached];
