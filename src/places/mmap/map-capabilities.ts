// What maps of mmap:// can do. Read by types, openMap(), conformance and the docs; say it only here.

export const mmapMap = {
  scheme: 'mmap',
  summary: 'the same in a file of your choice: what is in it outlives all processes',
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
  notes: {
    durable:
      'entries survive the end of every process and an orderly restart of the machine, but not a power cut, which is what durable means',
  },
  limits: { maxKeyBytes: 1024, maxValueBytes: 131_072 },
  needs: ['addon'],
} as const;
