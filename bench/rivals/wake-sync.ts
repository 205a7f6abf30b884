// Round trips of blocked threads: the two mailboxes of one side, and the loops of both sides.

import { open } from '#naru/index';
import type { Mailbox } from '#naru/index';
import { BODY_BYTES, Bodies, timedInBatches } from '../harness/bodies.ts';
import type { Sample } from '../harness/duel.ts';

type Bytes = Mailbox<Uint8Array, Uint8Array, 'waitSync'>;

export interface Ends {
  readonly output: Bytes;
  readonly input: Bytes;
  readonly close: () => Promise<void>;
}

export interface Waiting {
  readonly spinMicros: number;
  readonly yields: number;
}

export async function openBoth(outputUrl: string, inputUrl: string, wait: Waiting): Promise<Ends> {
  const common = { codec: 'bytes', wait, needs: ['waitSync'] } as const;
  const output: Bytes = await open(outputUrl, { ...common, role: 'producer' });
  const input: Bytes = await open(inputUrl, { ...common, role: 'consumer' });
  const close = async (): Promise<void> => {
    await output.close();
    await input.close();
  };
  return { output, input, close };
}

/** Plays the first ball and waits for it. */
export function playSync({ output, input }: Ends, count: number): Sample {
  const body = new Bodies().make(0);
  return timedInBatches(count, 1, 1, () => {
    output.sendSync(body);
    touch(input.receiveSync().data);
  });
}

/** Waits for a ball and plays it back. */
export function playBack({ output, input }: Ends, count: number): void {
  for (let trip = 0; trip < count; trip += 1) output.sendSync(touch(input.receiveSync().data));
}

function touch(body: Uint8Array): Uint8Array {
  if (body.length !== BODY_BYTES || body[BODY_BYTES - 1] !== 1) throw new Error('a damaged ball');
  return body;
}
