// What maps in a Manager can do. Read by types, openMap(), conformance and the docs; say it only here.

export const unixMap = {
  scheme: 'unix',
  summary: 'a Manager on this machine: unix:///path.sock?name=orders',
  features: {
    iterate: 'native',
    ttl: 'native',
    watch: 'native',
    sync: 'none',
    keepsAll: 'native',
    durable: 'none',
    crossProcess: 'native',
    crossHost: 'none',
  },
  notes: {},
  limits: { maxKeyBytes: 1024, maxValueBytes: 1_048_576 },
  needs: [],
} as const;

export const tcpMap = {
  scheme: 'tcp',
  summary: 'a Manager over the network: tcp://host:port/orders',
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
  notes: { crossHost: 'nothing is encrypted: use a tunnel between machines' },
  limits: { maxKeyBytes: 1024, maxValueBytes: 1_048_576 },
  needs: [],
} as const;
