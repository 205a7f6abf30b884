// What maps of memory:// can do. Read by types, openMap(), conformance and the docs; say it only here.

export const memoryMap = {
  scheme: 'memory',
  summary: 'one thread of one process: for tests, and the reference of what a map does',
  features: {
    iterate: 'native',
    ttl: 'native',
    watch: 'native',
    sync: 'native',
    keepsAll: 'native',
    durable: 'none',
    crossProcess: 'none',
    crossHost: 'none',
  },
  notes: {},
  limits: { maxKeyBytes: 1024, maxValueBytes: 131_072 },
  needs: [],
} as const;
