// fifo:// while its readers and writers are killed at random: what arrives is whole, once, and in its writer's order.

import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KernelStage } from '../../kernel/stage.fixture.ts';
import { nativeProblem, tryNative } from '../../native/index.ts';
import type { Child } from '../../native/stage.fixture.ts';
import { open } from '../../open.ts';

const peerFile = fileURLToPath(new URL('../../pipe/peer.fixture.js', import.meta.url));
const ROUNDS = 4;

describe.skipIf(tryNative() === undefined)(`fifo:// (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  beforeEach(() => {
    stage = new KernelStage();
  });
  afterEach(() => stage.close());

  const peer = (orders: Record<string, unknown>): Child =>
    stage.start(process.execPath, [peerFile, JSON.stringify(orders)]);

  function kill(child: Child): Promise<unknown> {
    child.process.kill('SIGKILL');
    return child.end();
  }

  test.each([
    ['raw', 'frame=lines', 700],
    ['with envelopes, longer than one write', 'format=envelope', 20_000],
  ])('%s: killed readers and writers leave no torn and no double message', async (_name, query, bytes) => {
    const url = `fifo://${stage.path('fifo')}?${query}`;
    await using holder = await open(url, { nobody: 'keep', codec: 'text' });
    holder.on('error', () => undefined); // that a message was torn is told
    const last = new Map<string, number>();
    const check = (text: string): void => {
      const [writer = '', number] = text.split('-');
      const n = Number(number);
      expect(text).toBe(`${writer}-${n}-`.padEnd(bytes, 'x'));
      expect(n, writer).toBeGreaterThan(last.get(writer) ?? 0);
      last.set(writer, n);
    };
    for (let round = 1; round <= ROUNDS; round += 1) {
      const reader = peer({ url, act: 'consume', options: { role: 'consumer' } });
      expect(await reader.line()).toBe('ready');
      const writers = ['a', 'b'].map((letter) =>
        peer({
          url,
          act: 'produce',
          name: `${letter}${round}`,
          count: 100_000,
          bytes,
          options: { role: 'producer' },
        }),
      ) as [Child, Child];
      // More than what the round before may have left in the pipe.
      const until = 120 + Math.random() * 100;
      for (let n = 0; n < until; n += 1) {
        const line = await reader.line();
        if (!line.startsWith('error')) check(line);
        if (n === Math.floor(until / 2)) await kill(writers[0]);
      }
      await Promise.all([kill(reader), kill(writers[1])]);
    }
    for (;;) {
      const rest = await holder.receive({ timeoutMs: 300 }).catch(() => undefined);
      if (rest === undefined) break;
      check(rest.data);
    }
    expect(last.size).toBeGreaterThanOrEqual(ROUNDS);
    await holder.send('works on');
    expect((await holder.receive()).data).toBe('works on');
  });
});
