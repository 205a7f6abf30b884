// The negative half: what a place does not declare must be refused, at open() and at the call of untyped code. A suite that
// only skips would let a place ignore a feature in silence.

import { FEATURES, type Feature } from '../../mailbox/capabilities.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { MailboxOptions } from '../../mailbox/options.ts';
import type { Rule } from '../rule.ts';
import type { Trial } from '../trial.ts';

/** How a program would ask for a feature. */
interface Asking {
  /** Options of open() that cannot do without it. */
  readonly options?: readonly MailboxOptions[];
  /** Calls that cannot do without it, each refused with NARU_UNSUPPORTED. */
  readonly calls?: readonly ((mailbox: Mailbox, t: Trial) => unknown)[];
  /** Where a place without it behaves in another way than by refusing. */
  readonly instead?: (t: Trial) => Promise<void>;
}

async function received(mailbox: Mailbox): Promise<{ nack(): Promise<void>; extend(ms: number): void }> {
  await mailbox.send('in hand');
  return await mailbox.receive({ timeoutMs: 8_000 });
}

/** One seat only: the second is refused by the place itself. */
async function onlyOne(t: Trial, role: 'producer' | 'consumer'): Promise<void> {
  const first = await t.open();
  const second = await t.open();
  await first.connect(role);
  await t.rejects(second.connect(role), 'NARU_LIMIT');
}

const ASKING: Readonly<Record<Feature, Asking>> = {
  ack: { options: [{ settle: 'manual' }], calls: [async (m) => (await received(m)).nack()] },
  requeue: { calls: [async (m) => (await received(m)).nack()] },
  deadLetter: { options: [{ deadLetter: 'memory://grave' }] },
  lease: { options: [{ leaseMs: 1_000 }], calls: [async (m) => (await received(m)).extend(1_000)] },
  priority: { calls: [(m) => m.send(1, { priority: 1 })] },
  ttl: { calls: [(m) => m.send(1, { ttlMs: 1_000 })] },
  delay: { calls: [(m) => m.send(1, { delayMs: 1_000 })] },
  headers: {
    calls: [
      (m) => m.send(1, { headers: { a: 'b' } }),
      (m) => m.send(1, { id: 'x' }),
      (m) => m.send(1, { contentType: 'x' }),
      (m) => m.send(1, { correlationId: 'x' }),
    ],
  },
  type: { calls: [(m) => m.send(1, { type: 'x' })] },
  reply: { calls: [(m) => m.request(1, { timeoutMs: 1_000 }), (m) => m.serve(() => undefined)] },
  deliverAll: { options: [{ deliver: 'all' }] },
  groups: { options: [{ group: 'g' }] },
  orderingKey: { calls: [(m) => m.send(1, { key: 'k' })] },
  dedup: { options: [{ dedup: 10 }] },
  receipts: { options: [{ confirm: 'received' }], calls: [(m) => m.send(1, { confirm: 'received' })] },
  durable: {
    options: [{ survives: 'restart' }, { confirm: 'durable' }],
    calls: [(m) => m.send(1, { confirm: 'durable' })],
  },
  depth: {
    instead: async (t) => {
      const { place } = await (await t.open()).stats();
      t.equal(place.depth, -1, 'the depth of a place that does not know it');
    },
  },
  peek: { calls: [(m) => m.peek(1)] },
  trySync: { calls: [(m) => m.trySend(1), (m) => m.tryReceive()] },
  waitSync: { calls: [(m) => m.sendSync(1, { timeoutMs: 0 }), (m) => m.receiveSync({ timeoutMs: 0 })] },
  wait: {},
  multiProducer: { instead: (t) => onlyOne(t, 'producer') },
  multiConsumer: { instead: (t) => onlyOne(t, 'consumer') },
  crossProcess: {
    instead: async (t) =>
      t.equal(
        t.capabilities.shapes.filter((shape) => shape === 'child'),
        [],
        'the shapes that need other processes',
      ),
  },
  crossHost: {},
  replay: { options: [{ from: 'start' }] },
  retain: { options: [{ retain: 5 }] },
  overwrite: { options: [{ deliver: 'all', full: 'drop-oldest', needs: ['overwrite'] }] },
  dropOldest: { options: [{ full: 'drop-oldest' }] },
  dropNewest: { options: [{ full: 'drop-newest' }] },
  rendezvous: { options: [{ capacityMessages: 0 }, { capacityBytes: 0 }] },
  fixedSlots: { options: [{ slotBytes: 64 }] },
  end: { calls: [(m) => m.end()] },
  claim: { calls: [(m) => m.claim(8), (m) => m.tryClaim(8)] },
  views: { calls: [(m) => m.receiveView({ timeoutMs: 0 }), (m) => m.tryReceiveView()] },
};

async function refused(t: Trial, feature: Feature, options: MailboxOptions): Promise<void> {
  const error = await t.rejects(t.open(options), 'NARU_UNSUPPORTED');
  t.ok(error.message.includes(feature), `the error names "${feature}" (${error.message})`);
}

function ruleOf(feature: Feature): Rule {
  const { options = [], calls = [], instead } = ASKING[feature];
  return {
    id: `lacking.${feature}`,
    text: `without "${feature}" open() refuses needs and options that ask for it, and every call that needs it is NARU_UNSUPPORTED`,
    without: feature,
    shapes: 'once',
    async run(t) {
      await refused(t, feature, { needs: [feature] });
      for (const asking of options) await refused(t, feature, asking);
      await instead?.(t);
      for (const [index, call] of calls.entries()) {
        const mailbox = await t.site(`call${index}`).open();
        await t.rejects(async () => await call(mailbox, t), 'NARU_UNSUPPORTED');
        // A refused call must not have done half of what was asked.
        await mailbox.close();
      }
    },
  };
}

const several: Rule = {
  id: 'lacking.several',
  text: 'open() names everything that is missing in one error, creates nothing, and takes needs that are there',
  shapes: 'once',
  async run(t) {
    const names = Object.keys(FEATURES) as Feature[];
    const missing = names.filter((name) => t.capabilities.features[name] === 'none');
    if (missing.length > 0) {
      const error = await t.rejects(t.open({ needs: missing }), 'NARU_UNSUPPORTED');
      for (const name of missing) t.ok(error.message.includes(name), `the error names "${name}"`);
    }
    const mailbox = await t.open({ needs: names.filter((name) => t.has(name)) });
    t.equal(mailbox.created, true, 'created of the handle opened after the refusal');
  },
};

export const lacking: readonly Rule[] = [...(Object.keys(ASKING) as Feature[]).map(ruleOf), several];
