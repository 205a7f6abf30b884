// What maps of shm:// can do. Read by types, openMap(), conformance and the docs; say it only here.

export const shmMap = {
  scheme: 'shm',
  summary: 'processes and threads of one user, or of a group, on one machine, at memory speed',
  features: {
    iterate: 'native',
    ttl: 'native',
    watch: 'native',
    sync: 'native',
    keepsAll: 'native',
    durable: 'none',
    crossProcess: 'native',
    crossHost: 'none',
  },
  notes: {},
  limits: { maxKeyBytes: 1024, maxValueBytes: 131_072 },
  needs: ['addon'],
} as const;
