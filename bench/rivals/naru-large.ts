// Large bodies over shm:// through the public API: copied (send, receive) and without copies (claim, receiveView). The producer
// writes every byte of every body; the consumer looks at both ends of it, or at all of it.

import { open } from '#naru/index';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';
import type { Reading } from './program.ts';

/** A lane holds so many bodies; the ring in C has the same number. */
const BODIES_A_LANE = 16;
const LANE_BYTES_MIN = 1024 * 1024;
const NUMBER_BYTES = 4;

function urlOf(name: string, bodyBytes: number): string {
  const capacityBytes = Math.max(LANE_BYTES_MIN, BODIES_A_LANE * bodyBytes);
  return `shm://${name}?capacityBytes=${capacityBytes}&relation=1:1`;
}

/** No byte but those of the number is 0: a search for one reads them all, at the speed of the C library. */
function touchWhole(check: Check, body: Uint8Array): void {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (bytes.indexOf(0, NUMBER_BYTES) >= 0) throw new Error('a message has lost bytes');
  check.touch(body);
}

async function openConsumer(url: string, mode: 'copy' | 'view', reading: Reading): Promise<NearEnd> {
  const mailbox = await open(url, { codec: 'bytes', role: 'consumer', needs: ['views'] });
  const check = new Check();
  const touch = reading === 'whole' ? (body: Uint8Array) => touchWhole(check, body) : check.touch;
  const one = async (): Promise<void> => {
    if (mode === 'copy') return touch((await mailbox.receive()).data);
    const view = await mailbox.receiveView();
    touch(view.data);
    await view.ack();
  };
  return {
    address: mailbox.address,
    run: async (count) => {
      const sample = check.expect(count);
      for (let taken = 0; taken < count; taken += 1) await one();
      return sample;
    },
    close: async () => {
      await mailbox.close();
    },
  };
}

async function openProducer(url: string, mode: 'copy' | 'view', bodyBytes: number): Promise<FarEnd> {
  const mailbox = await open(url, { codec: 'bytes', role: 'producer', needs: ['claim'] });
  const bodies = new Bodies((size) => new Uint8Array(size), bodyBytes, mode === 'view');
  const one = async (sequence: number): Promise<void> => {
    const body = bodies.make(sequence);
    if (mode === 'copy') {
      await mailbox.send(body);
      return;
    }
    const claim = await mailbox.claim(bodyBytes);
    claim.data.set(body);
    claim.commit();
  };
  return {
    run: async (count) => {
      for (let sequence = 0; sequence < count; sequence += 1) await one(sequence);
    },
    close: async () => {
      await mailbox.close();
    },
  };
}

/** @param suffix  makes ids of one size differ from those of another */
export function naruLarge(mode: 'copy' | 'view', reading: Reading, bodyBytes: number, suffix: string): Duel {
  const how = mode === 'copy' ? 'send(), receive()' : 'claim(), receiveView()';
  return {
    id: `naru-shm-${mode}-${reading}-${suffix}`,
    kind: 'throughput',
    label: `Naru shm://, ${how}, ${reading === 'whole' ? 'every byte read' : 'ends read'}`,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    bodyBytes,
    firstCount: 50,
    openNear: ({ name }) => openConsumer(urlOf(name, bodyBytes), mode, reading),
    openFar: ({ name }) => openProducer(urlOf(name, bodyBytes), mode, bodyBytes),
  };
}
