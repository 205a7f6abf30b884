// Naru's broker and RabbitMQ answer alike: the same scripts against both, what comes back compared step by step; and where they differ,
// they do as it is written down. NARU_DIFF_RUNS makes it longer, NARU_DIFF_SEED plays other scripts.

import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from 'naru/broker';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { rabbitmq } from '../../engines/rabbitmq.fixture.ts';
import { compare } from './compare.fixture.ts';
import { WRONG_FRAMES } from './frames.fixture.ts';
import { INTENDED } from './intended.fixture.ts';
import { play } from './play.fixture.ts';
import { scripts } from './scripts.fixture.ts';

const RUNS = Number(process.env['NARU_DIFF_RUNS'] ?? 100);
const SEED = Number(process.env['NARU_DIFF_SEED'] ?? 2026);
const RUN_MS = 1000;

/** The method and, where it has one, the reply code of a line. */
function answered(line = ''): string {
  const [, method = '', code] = /^\d\.\d (\S+)(?: replyCode=(\d+))?/.exec(line) ?? [];
  return code === undefined ? method : `${method} ${code}`;
}

onlyWith(rabbitmq, 'Naru’s broker beside RabbitMQ', (url) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ port: 0 });
  });
  afterAll(() => broker.stop());

  describe('answers alike', () => {
    test.each(Object.entries(WRONG_FRAMES))('%s', async (_what, frames) => {
      expect(await compare(url, broker.url, [{ do: 'frames', frames }])).toBe('');
    });

    test(
      `any script (${RUNS} runs, NARU_DIFF_SEED=${SEED})`,
      async () => {
        let steps = 0;
        const property = fc.asyncProperty(scripts, async (script) => {
          steps += script.length;
          expect(await compare(url, broker.url, script)).toBe('');
        });
        await fc.assert(property, { numRuns: RUNS, seed: SEED });
        console.log(`differential: ${RUNS} scripts of ${steps} steps, NARU_DIFF_SEED=${SEED}`);
      },
      60_000 + RUNS * RUN_MS,
    );
  });

  describe('differs as intended', () => {
    test.each(INTENDED)('$what', async ({ script, rabbitmq: theirs, naru }) => {
      const last = async (at: string): Promise<string> => answered((await play(at, script)).at(-1)?.[0]);
      expect([await last(url), await last(broker.url)]).toEqual([theirs, naru]);
    });
  });
});
