// A host against peers that send any frames in any order: it never throws past its connection, lends no room for good, and
// serves its own handle all the while.

import { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Delivery, Outgoing } from '../mailbox/driver.ts';
import { FrameType, FrameWriter } from '../wire/frames.ts';
import { encodePreamble } from '../wire/splitter.ts';
import { HostConnection } from './host-connection.ts';
import { Host } from './host.ts';
import { LocalSession } from './local-session.ts';
import { Operation } from './operation.ts';
import { newSettings } from './settings.ts';

const CAPACITY = 50;

/** The host's end of a connection: the test pushes bytes in and throws away what comes out. */
class Wire extends Duplex {
  override _read(): void {
    // Bytes are pushed by the test.
  }

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

function bytesOf(write: (writer: FrameWriter) => void): Buffer {
  const parts: Buffer[] = [];
  const writer = new FrameWriter({ emit: (bytes) => parts.push(bytes), wake: () => undefined });
  write(writer);
  writer.flush();
  return Buffer.concat(parts);
}

const HELLO = Buffer.concat([
  encodePreamble(1, 0),
  bytesOf((writer) => {
    writer.text(FrameType.hello, '{"identity":"fuzz","stated":{}}');
    writer.coded(FrameType.request, 1, Operation.attachProducer, '');
    writer.coded(FrameType.request, 2, Operation.attachConsumer, '');
    writer.amounts(FrameType.want, 10, 2_000);
  }),
]);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const number = fc.oneof(fc.nat(60), fc.double(), fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 53, -1));
const json = fc.constantFrom(
  '',
  '{}',
  '{"max":1e9}',
  '{"count":-1}',
  '{"bytes":null}',
  '{"group":5,"from":"x"}',
  '[',
  '{"max":',
);
const body = fc.uint8Array({ maxLength: 40 });

/** One frame, mostly of a known type and sometimes sensible. */
const frame: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 6,
    arbitrary: body.map((bytes) =>
      bytesOf((w) =>
        w.send({ body: bytes, sequence: 1, time: 1, fields: undefined }, 16 + bytes.length, bytes.length % 2),
      ),
    ),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.nat(14), json)
      .map(([operation, text]) => bytesOf((w) => w.coded(FrameType.request, 7, operation, text))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(FrameType.want, FrameType.need, FrameType.return), number, number)
      .map(([type, a, b]) => bytesOf((w) => w.amounts(type, a >>> 0, b))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(FrameType.ack, FrameType.received), fc.array(number, { maxLength: 5 }))
      .map(([type, list]) => bytesOf((w) => w.list(type, list))),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(FrameType.settle, FrameType.extend), number, fc.nat(5), number)
      .map(([type, token, outcome, ms]) => bytesOf((w) => w.tokenAndMs(type, token, outcome, ms))),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 30 })).map(([type, payload]) => {
      const head = Buffer.alloc(5);
      head.writeUInt32LE(payload.length + 1, 0);
      head[4] = type;
      return Buffer.concat([head, payload]);
    }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
);

function newHost(): { host: Host; local: LocalSession } {
  const host = new Host({
    settings: newSettings({ capacityMessages: CAPACITY, capacityBytes: 10_000 }),
    mailbox: 'test://m',
    place: 'test',
  });
  const local = new LocalSession({
    host,
    identity: 'local',
    address: 'test://m',
    flushMs: 0,
    shutDown: () => Promise.resolve(),
    events: {
      readable: () => undefined,
      writable: () => undefined,
      peers: () => undefined,
      reply: () => undefined,
      event: () => undefined,
      lost: () => undefined,
    },
  });
  return { host, local };
}

describe('a host', () => {
  test('survives any frames in any order, and gets back all room it lent', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(frame, { maxLength: 25 }), { minLength: 1, maxLength: 4 }),
        async (streams) => {
          const { host, local } = newHost();
          const wires = streams.map(() => new Wire());
          for (const wire of wires) {
            const connection = new HostConnection(wire, {
              host,
              heartbeatMs: 0,
              unlink: () => Promise.resolve(),
              closed: () => undefined,
            });
            expect(connection.identity).toBe('');
            wire.push(HELLO);
          }
          await turn();
          const longest = Math.max(...streams.map(({ length }) => length));
          for (let i = 0; i < longest; i += 1) {
            for (const [n, stream] of streams.entries()) {
              const bytes = stream[i];
              if (bytes !== undefined && !wires[n]?.destroyed && wires[n]?.readableEnded === false)
                wires[n]?.push(bytes);
            }
            if (i % 4 === 0) await turn();
            expect(host.held).toBeLessThanOrEqual(CAPACITY);
          }
          await turn();
          for (const wire of wires) wire.destroy();
          await turn();
          await turn();
          expect(host.peers).toEqual({ producers: 0, consumers: 0 });
          host.purge();
          expect([host.held, host.ledger.free().messages, host.ledger.free().bytes]).toEqual([
            0,
            CAPACITY,
            10_000,
          ]);
          if (!host.isEnded) await sendAndReceive(local);
          await local.close();
        },
      ),
      { numRuns: 150 },
    );
  });
});

async function sendAndReceive(local: LocalSession): Promise<void> {
  const producer = await local.attachProducer();
  const consumer = await local.attachConsumer({ group: undefined, from: undefined });
  const message: Outgoing = {
    body: Buffer.from('canary'),
    sequence: 1,
    time: 1,
    fields: undefined,
    confirm: undefined,
    done: undefined,
  };
  expect(producer.offer([message], 0)).toBe(1);
  const out: Delivery[] = [];
  expect(consumer.take(1, out)).toBe(1);
  expect(Buffer.from((out[0] as Delivery).body).toString()).toBe('canary');
  consumer.ackAll(out);
  await consumer.close();
  await producer.close();
}
