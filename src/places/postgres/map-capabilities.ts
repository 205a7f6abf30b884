// What maps of postgres:// can do. Read by types, openMap(), conformance and the docs; say it only here.

export const postgresMap = {
  scheme: 'postgres',
  summary: 'a table in PostgreSQL: many machines, nothing lost in a power cut, visible to SQL',
  features: {
    iterate: 'native',
    ttl: 'native',
    watch: 'native',
    sync: 'none',
    keepsAll: 'native',
    durable: 'native',
    crossProcess: 'native',
    crossHost: 'native',
  },
  notes: {
    ttl: "by the server's clock",
    watch:
      'NOTIFY, sent only while somebody watches; needs a session of its own (no pooler in transaction mode)',
    durable: 'a set() has come back when the server committed it, with its setting of synchronous_commit',
  },
  limits: { maxKeyBytes: 1024, maxValueBytes: 16_777_216 },
  needs: ['pg'],
} as const;
