// What maps of redis:// (and of Valkey) can do. Read by types, openMap(), conformance and the docs; say it only here.

export const redisMap = {
  scheme: 'redis',
  summary: 'a Redis or Valkey server: many machines, fast, as durable as the server is set up to be',
  features: {
    iterate: 'native',
    ttl: 'native',
    watch: 'native',
    sync: 'none',
    keepsAll: 'native',
    durable: 'none',
    crossProcess: 'native',
    crossHost: 'native',
  },
  notes: {
    iterate: 'by SCAN, which goes through the whole database: the cost is that of all its keys',
    watch: 'the server tells by client tracking (RESP 3, Redis 6 or newer)',
    keepsAll:
      'not on a server that evicts (maxmemory with another policy than noeviction): opening with needs fails there',
    durable: 'a restarted server has what its own persistence kept: RDB and AOF may lose the last writes',
  },
  limits: { maxKeyBytes: 1024, maxValueBytes: 16_777_216 },
  needs: ['@redis/client'],
} as const;
