// A server that is killed again and again under traffic: what every place on an engine must do about it.

import { type Again, Traffic, type TrafficOptions } from './traffic.fixture.ts';

/**
 * Sends numbers while the server is killed and started again on what it kept, `kills` times. Every send must end as confirmed, failed or unknown;
 * what was confirmed arrives; what comes again is told as `again` says; what was refused never comes.
 * @param restart  kills the server and starts it again
 */
export async function survivesKills(
  address: string,
  kills: number,
  again: Again,
  restart: () => Promise<void>,
  options?: TrafficOptions,
): Promise<void> {
  const traffic = new Traffic(options);
  await traffic.run(address, async (progress) => {
    for (let kill = 1; kill <= kills; kill += 1) {
      await progress();
      await restart();
    }
    await progress();
  });
  traffic.check(again);
}
