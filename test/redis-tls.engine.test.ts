// Maps on rediss://: a real Redis that speaks TLS only, with certificates made here; and what is refused.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openMap } from 'naru/state';
import { type Running, startEngine } from '#naru/engines/engine.fixture';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { redis } from '#naru/engines/redis.fixture';

let folder: string;
let running: Running;
let base: string;

const file = (name: string): string => join(folder, name);

/** A certificate that says who 127.0.0.1 is, signed by itself. */
function certify(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`), '-days', '2'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...out], {
    stdio: 'ignore',
  });
}

onlyWith(redis, 'maps over TLS', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'naru-tls-'));
    certify('server');
    certify('client');
    running = await startEngine(redis);
    await running.stop();
    // The port of plain Redis stays for the question whether it is ready; TLS has one of its own.
    const tls = ['--tls-port', String(running.site.spare[0]), '--tls-cert-file', file('server.pem')];
    const more = ['--tls-key-file', file('server.key'), '--tls-ca-cert-file', file('client.pem')];
    running = await startEngine(redis, [...tls, ...more]);
    base = running.url.replace('redis://', 'rediss://').replace(/:\d+\/0$/, `:${tls[1]}/0`);
  });
  afterAll(async () => {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const query = (): string => `ca=${file('server.pem')}&cert=${file('client.pem')}&key=${file('client.key')}`;

  test('work as they do without', async () => {
    await using map = await openMap(`${base}?map=a&${query()}`);
    await using other = await openMap(`${base}?map=a&${query()}`, { needs: ['watch'] });
    const watch = other.watch('n', { from: 'start' });
    await map.set('n', 1);
    for (let n = 0; n < 20; n += 1) await map.update('n', (before) => (before as number) + 1);
    expect(await other.get('n')).toBe(21);
    expect((await watch.next()).value.key).toBe('n');
    expect(map.address).toMatch(/^rediss:\/\/127\.0\.0\.1:\d+\/0\?map=a&ca=/);
    expect(map.address).not.toContain(readFileSync(file('client.key'), 'utf8').slice(30, 60));
    await watch.return?.();
    await map.unlink();
  });

  test('refuse a server whose certificate nobody vouches for', async () => {
    await expect(openMap(`${base}?map=a`)).rejects.toMatchObject({
      code: 'NARU_DENIED',
      message: expect.stringContaining('?ca='),
    });
  });

  test('say that the server wants a certificate of ours', async () => {
    await expect(openMap(`${base}?map=a&ca=${file('server.pem')}`)).rejects.toMatchObject({
      code: expect.stringMatching(/^NARU_(DENIED|DISCONNECTED)$/),
    });
  });

  test('say that a port speaks no TLS', async () => {
    await expect(openMap(running.url.replace('redis://', 'rediss://'))).rejects.toMatchObject({
      code: 'NARU_DISCONNECTED',
    });
  });
});

test('what belongs to TLS is refused without it, and files must be there', async () => {
  const server: Server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const invalid = { code: 'NARU_INVALID_ARGUMENT' };
  await expect(openMap(`redis://127.0.0.1:${port}?ca=/x.pem`)).rejects.toMatchObject(invalid);
  await expect(openMap(`rediss://127.0.0.1:${port}?cert=/x.pem`)).rejects.toMatchObject(invalid);
  await expect(openMap(`rediss://127.0.0.1:${port}?ca=/nowhere/x.pem`)).rejects.toMatchObject(invalid);
  await new Promise((resolve) => server.close(resolve));
});
