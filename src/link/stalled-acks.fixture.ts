// consume() behind a network that stalls: acks that nobody answers hold up no handler, are waited for at the end, and fail with a word when
// the connection breaks.

import { expect } from 'vitest';
import { isSettled } from '../conformance/waiting.ts';
import type { Consumption, Handler } from '../mailbox/consume.ts';
import type { Message } from '../mailbox/message.ts';
import type { FaultProxy } from './fault-proxy.fixture.ts';

const MESSAGES = 5_000;
const FIRST_STALL_AT = 300;
/** How long a stalled consumer gets to show that it goes on; then the network works again for a while. */
const PROOF_MS = 2_000;

interface Handle {
  on(event: 'error', listener: (detail: { readonly error: Error }) => void): unknown;
  sendMany(list: readonly number[]): Promise<unknown>;
  receive(limits: { readonly timeoutMs: number }): Promise<Message<unknown>>;
  consume(handler: Handler<unknown>): Consumption<unknown>;
  disconnect(role: 'consumer'): Promise<void>;
}

/**
 * @param direct   a handle of the same mailbox that does not go through the proxy
 * @param through  the one that consumes
 */
export async function watchStalledAcks(direct: Handle, through: Handle, proxy: FaultProxy): Promise<void> {
  const errors: Error[] = [];
  through.on('error', ({ error }) => errors.push(error));
  const all = Array.from({ length: MESSAGES }, (_, n) => n);
  await direct.sendMany(all);
  const handled: number[] = [];
  let stallAt = FIRST_STALL_AT;
  const consuming = through.consume(({ data }) => {
    handled.push(data as number);
    if (handled.length === stallAt) proxy.isStalled = true;
  });
  // The ack of the message that stalled the network is never answered. A handler that gets two more all the same did not wait for it; it
  // gets them if they had come before, which on a busy computer takes some attempts.
  const goesOn = (): boolean => handled.length > stallAt + 1;
  for (;;) {
    await expect.poll(() => proxy.isStalled, { timeout: 20_000 }).toBe(true);
    await expect
      .poll(goesOn, { timeout: PROOF_MS })
      .toBe(true)
      .catch(() => undefined);
    if (goesOn()) break;
    stallAt = handled.length + 100;
    proxy.reset();
    proxy.isStalled = false;
  }
  const stopping = consuming.stop();
  expect(await isSettled(stopping, 100)).toBe(false);
  errors.length = 0;
  const unanswered = handled.length - stallAt + 1;
  proxy.reset();
  proxy.isStalled = false;
  await stopping;
  expect(errors.length).toBeGreaterThanOrEqual(unanswered);
  for (const error of errors) expect(error).toMatchObject({ code: 'NARU_DISCONNECTED' });
  await through.disconnect('consumer');
  // What was not acked for certain comes again, as soon as the other side knows of the broken connection.
  const seen = new Set(handled);
  while (seen.size < MESSAGES) seen.add((await direct.receive({ timeoutMs: 20_000 })).data as number);
}
