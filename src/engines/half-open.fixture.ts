// A network that goes silent without breaking, between a handle and its engine: what every place behind a connection must do about it.

import { expect } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { open } from '../index.ts';
import { FaultProxy } from '../link/fault-proxy.fixture.ts';

/**
 * A send into the silence ends with a code, the loss is told, and when the network is back both ends go on by themselves.
 * @param url    of the engine, with its query
 */
export async function survivesSilence(url: string): Promise<void> {
  const proxy = await FaultProxy.to(Number(new URL(url).port));
  const told: string[] = [];
  try {
    await using near = await open(proxy.through(url), { codec: 'json' });
    await using far = await open(url, { codec: 'json' });
    near.on('disconnect', () => told.push('disconnect'));
    near.on('reconnect', () => told.push('reconnect'));
    await near.send('before');
    expect((await far.receive({ timeoutMs: 20_000 })).data).toBe('before');
    await near.connect('consumer');
    const receiving = near.receive();
    proxy.isStalled = true;
    // While it waits the other end sends: nothing of it gets through.
    await far.send('meanwhile');
    const outcome = await near.send('lost?').then(
      () => 'confirmed',
      (error: unknown) => (isNaruError(error) ? error.code : String(error)),
    );
    expect(outcome).toBe('NARU_OUTCOME_UNKNOWN');
    expect(told).toContain('disconnect');
    proxy.isStalled = false;
    expect((await receiving).data).toBe('meanwhile');
    expect(told).toContain('reconnect');
    await near.send('after');
    await near.unlink();
  } finally {
    await proxy.close();
  }
}
