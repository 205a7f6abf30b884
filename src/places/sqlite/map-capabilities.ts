// What maps of sqlite:/// can do. Read by types, openMap(), conformance and the docs; say it only here.

export const sqliteMap = {
  scheme: 'sqlite',
  summary: 'one file of this machine, for several processes at once; survives a power cut',
  features: {
    iterate: 'native',
    ttl: 'native',
    watch: 'native',
    sync: 'none',
    keepsAll: 'native',
    durable: 'native',
    crossProcess: 'native',
    crossHost: 'none',
  },
  notes: {
    watch: 'the kernel tells that the file changed (inotify); any change of the file makes watchers look',
    durable:
      'a set() has come back when it is on the disk; with survives: "process" only the process may die',
  },
  limits: { maxKeyBytes: 1024, maxValueBytes: 16_777_216 },
  needs: [],
} as const;
