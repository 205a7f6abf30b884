// What a request asks the host for, by its number on the wire.

export const Operation = {
  attachProducer: 1,
  detachProducer: 2,
  attachConsumer: 3,
  detachConsumer: 4,
  openReplies: 5,
  end: 6,
  stats: 7,
  peek: 8,
  purge: 9,
  unlink: 10,
  poll: 11,
  sync: 12,
  room: 13,
} as const;

/** Outcomes of a settlement, by their number on the wire. */
export const OUTCOMES = ['ack', 'requeue', 'reject', 'release'] as const;
