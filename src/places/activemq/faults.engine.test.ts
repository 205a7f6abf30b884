// Mailboxes on an Artemis and on a Classic that are killed, cut off, or break the connection because of a message: the same must hold on both.

import { test } from 'vitest';
import { activemq as classic } from '../../engines/activemq.fixture.ts';
import { artemis } from '../../engines/artemis.fixture.ts';
import { survivesBadNetwork } from '../../engines/bad-network.fixture.ts';
import { startEngine } from '../../engines/engine.fixture.ts';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { survivesResets, survivesStall } from '../../engines/resending.fixture.ts';
import { refusesTooLarge } from '../../engines/too-large.fixture.ts';

const KILLS = 20;
let names = 0;
const name = (): string => {
  names += 1;
  return `faults-${process.pid}-${names}`;
};

for (const engine of [artemis, classic]) {
  onlyWith(engine, `mailboxes on activemq:// when things break, with ${engine.name}`, (url) => {
    test(`the server is killed ${KILLS} times: sends end as confirmed, failed or unknown, and nothing confirmed is lost`, {
      timeout: 1_200_000,
    }, async () => {
      await using own = await startEngine(engine);
      await survivesKills(`${own.url}?queue=killed`, KILLS, 'same id', () => own.restart());
    });

    test(
      'a network that is slow, or cuts what is written in two: every send ends, and nothing confirmed is lost',
      {
        timeout: 120_000,
      },
      () => survivesBadNetwork(`${url}?queue=${name()}`, 'same id'),
    );

    test('a network that stalls is noticed by the heartbeat; what was not accepted goes out again with its id', {
      timeout: 120_000,
    }, async () => {
      await survivesStall(`${url}?queue=${name()}`, 'heartbeat=1');
    });

    test('a connection that is reset in the midst of frames costs nothing that was confirmed, and a consumer goes on', {
      timeout: 120_000,
    }, async () => {
      await survivesResets(`${url}?queue=${name()}`);
    });
  });
}

onlyWith(classic, 'a message that ActiveMQ Classic ends the connection for', () => {
  test('is given up with a code after a few connections, and costs nothing that was sent beside it', {
    timeout: 120_000,
  }, async () => {
    await using own = await startEngine(classic, ['transport.wireFormat.maxFrameSize=100000']);
    await refusesTooLarge(`${own.url}?queue=large`, 300_000, { code: 'NARU_OUTCOME_UNKNOWN' });
  });
});
