// What maps of memcached:// can do. Read by types, openMap(), conformance and the docs; say it only here.

export const memcachedMap = {
  scheme: 'memcached',
  summary:
    'a memcached server: a cache that many machines share; it forgets when it is full, and when it restarts',
  features: {
    iterate: 'none',
    ttl: 'native',
    watch: 'none',
    sync: 'none',
    keepsAll: 'none',
    durable: 'none',
    crossProcess: 'native',
    crossHost: 'native',
  },
  notes: {
    ttl: 'to the millisecond, by the clocks of those who read and write',
    keepsAll: 'a full cache evicts what was not used for longest',
  },
  limits: { maxKeyBytes: 112, maxValueBytes: 1_047_552 },
  needs: [],
} as const;
