// makeFifo, writeByte, peerCredentials, and what all functions of the addon do with wrong arguments.

import { closeSync, constants, mkdirSync, openSync, readSync, statSync, symlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';
import { addon, Stage } from './stage.fixture.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

function fdOf(socket: Socket | Server): number {
  return (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}

describe.skipIf(tryNative() === undefined)(`kernel objects (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
  });
  afterEach(() => stage.close());

  test('a FIFO has exactly the mode asked for, whatever the umask', () => {
    const old = process.umask(0o777);
    try {
      for (const mode of [0o600, 0o660, 0o666, 0o200, 0o777, 0]) {
        const path = stage.path(`f${mode}`);
        addon.makeFifo(path, mode);
        expect(statSync(path).isFIFO()).toBe(true);
        expect(statSync(path).mode & 0o7777).toBe(mode);
      }
    } finally {
      process.umask(old);
    }
  });

  test('what is there already is EEXIST and stays as it is, a dangling link too', () => {
    mkdirSync(stage.path('folder'), { mode: 0o700 });
    symlinkSync('/nowhere/at/all', stage.path('link'));
    for (const name of ['folder', 'link'])
      expect(() => addon.makeFifo(stage.path(name), 0o666)).toThrow(
        expect.objectContaining({ code: 'EEXIST', errno: -17, syscall: 'mkfifo' }),
      );
    expect(statSync(stage.path('folder')).mode & 0o777).toBe(0o700);
  });

  test('a path that no file can have is refused', () => {
    expect(() => addon.makeFifo('a\0b', 0o600)).toThrow(TypeError);
    expect(() => addon.makeFifo('x'.repeat(5000), 0o600)).toThrow(
      expect.objectContaining({ code: 'ENAMETOOLONG' }),
    );
    expect(() => addon.makeFifo('', 0o600)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => addon.makeFifo(stage.path('f'), 0o1000)).toThrow(RangeError);
  });

  test('a byte goes into a FIFO while there is room; without a reader it is EPIPE', () => {
    const path = stage.path('bell');
    addon.makeFifo(path, 0o600);
    const reader = openSync(path, O_RDONLY | O_NONBLOCK);
    const writer = openSync(path, O_WRONLY | O_NONBLOCK);
    try {
      let written = 0;
      while (addon.writeByte(writer)) written += 1;
      expect(written).toBeGreaterThanOrEqual(4096);
      const bytes = Buffer.alloc(written + 1);
      expect(readSync(reader, bytes)).toBe(written);
      expect(bytes.indexOf(0)).toBe(written);
      expect(addon.writeByte(writer)).toBe(true);
      closeSync(reader);
      expect(() => addon.writeByte(writer)).toThrow(
        expect.objectContaining({ code: 'EPIPE', syscall: 'write' }),
      );
    } finally {
      closeSync(writer);
    }
    expect(() => addon.writeByte(-1)).toThrow(RangeError);
  });

  test('the peer of a Unix socket is the process that connected', async () => {
    const server = createServer();
    try {
      await new Promise<void>((resolve) => {
        server.listen(stage.path('s'), resolve);
      });
      const accepted = new Promise<Socket>((resolve) => {
        server.once('connection', resolve);
      });
      const child = stage.act('connect', stage.path('s'));
      const socket = await accepted;
      expect(addon.peerCredentials(fdOf(socket))).toEqual({
        pid: child.pid,
        uid: process.getuid?.(),
        gid: process.getgid?.(),
      });
      socket.destroy();
    } finally {
      server.close();
    }
  });

  test('a TCP socket and a file have no peer', async () => {
    const server = createServer();
    try {
      await new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', resolve);
      });
      expect(() => addon.peerCredentials(fdOf(server))).toThrow(
        expect.objectContaining({ code: 'EOPNOTSUPP' }),
      );
      expect(() => addon.peerCredentials(stage.open('a'))).toThrow(
        expect.objectContaining({ code: 'ENOTSOCK' }),
      );
    } finally {
      server.close();
    }
  });

  test('no wrong argument crashes anything: 3,000 calls of each function', async () => {
    const child = stage.act('fuzz');
    const [calls, refused] = (await child.line()).split(' ').map(Number);
    const functions = Object.values(addon).filter((value) => typeof value === 'function').length;
    // All but the three that would leave an object in the kernel or keep the loop alive.
    expect(calls).toBe(3000 * (functions - 3));
    expect(refused).toBeGreaterThan(20_000);
    expect(await child.end()).toMatchObject({ code: 0, signal: null });
  });
});
