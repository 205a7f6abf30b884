// ?format=raw: ten-line socket programs at the other end, in Python and in Node, listening and connecting.

import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../link/calls.fixture.ts';
import { Peers, until } from '../../link/processes.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { open } from '../../open.ts';

const hasPython = spawnSync('python3', ['-c', '']).status === 0;
const peers = new Peers();
const opened: Mailbox[] = [];
const sockets: Socket[] = [];
const servers: Server[] = [];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-raw-'));
});

afterEach(async () => {
  await peers.end();
  await Promise.all(opened.splice(0).map((mailbox) => mailbox.close({ flushMs: 0 })));
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function use(url: string, options: Parameters<typeof open>[1] = {}): Promise<Mailbox> {
  const mailbox = await open(url, { codec: 'text', ...options });
  opened.push(mailbox);
  return mailbox;
}

async function next(mailbox: Mailbox): Promise<unknown> {
  return (await mailbox.receive({ timeoutMs: 8_000 })).data;
}

function portOf(mailbox: Mailbox): number {
  return Number(/:(\d+)\?/.exec(mailbox.address)?.[1]);
}

/** The ten-line program: connects, keeps what it hears. */
async function program(port: number): Promise<{ socket: Socket; heard: () => string; ended: () => boolean }> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  let isEnded = false;
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isEnded = true;
  });
  await new Promise((resolve) => {
    socket.once('connect', resolve);
  });
  return { socket, heard: () => text, ended: () => isEnded };
}

/** A ten-line server; `serve` gets each connection. */
async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

describe('options', () => {
  test('a stream of plain bytes needs a frame, and the error says which there are', async () => {
    for (const url of ['tcp://127.0.0.1:0?listen&format=raw', `unix://${folder}/s?format=raw`]) {
      await expect(use(url)).rejects.toThrow(/lines.*length.*fixed.*chunk.*eof/);
    }
    expect(await codeOf(use('tcp://127.0.0.1:0?listen&format=raw&frame=fixed'))).toBe(
      'NARU_INVALID_ARGUMENT',
    );
  });

  test('what strangers cannot do is refused', async () => {
    const mailbox = await use('tcp://127.0.0.1:0?listen&format=raw&frame=lines');
    expect(await codeOf(mailbox.send('x', { headers: { a: 'b' } }))).toBe('NARU_UNSUPPORTED');
    expect(await codeOf(use('tcp://127.0.0.1:0?listen&format=raw&frame=lines', { settle: 'manual' }))).toBe(
      'NARU_UNSUPPORTED',
    );
  });
});

describe('listening', () => {
  test('lines: every line of every connection is a message; sends go to one connection after the other', async () => {
    const mailbox = await use('tcp://127.0.0.1:0?listen&format=raw&frame=lines');
    const [a, b] = [await program(portOf(mailbox)), await program(portOf(mailbox))];
    a.socket.write('one\ntwo\r\n\nlast');
    expect([await next(mailbox), await next(mailbox), await next(mailbox)]).toEqual(['one', 'two\r', '']);
    a.socket.end();
    expect(await next(mailbox)).toBe('last');
    await until(a.ended, 'the connection is closed on both sides');
    await until(() => mailbox.peers.consumers === 1, 'one is left');
    const c = await program(portOf(mailbox));
    await until(() => mailbox.peers.consumers === 2, 'two are there');
    for (let n = 0; n < 4; n += 1) await mailbox.send(`m${n}`);
    await until(() => b.heard().length + c.heard().length === 12, 'all four arrive');
    expect([b.heard(), c.heard()]).toEqual(['m0\nm2\n', 'm1\nm3\n']);
    expect(await codeOf(mailbox.send('a\nb'))).toBe('NARU_INVALID_MESSAGE');
  });

  test('deliver all: every connection gets every message', async () => {
    const mailbox = await use('tcp://127.0.0.1:0?listen&format=raw&frame=lines&deliver=all');
    await mailbox.send('to nobody');
    const both = [await program(portOf(mailbox)), await program(portOf(mailbox))];
    await until(() => mailbox.peers.consumers === 2, 'both are there');
    await mailbox.sendMany(['x', 'y']);
    await until(() => both.every(({ heard }) => heard() === 'x\ny\n'), 'both get both');
    expect((await mailbox.stats()).dropped['nobody']).toBe(1);
  });

  test('length, fixed, chunk and eof', async () => {
    const length = await use('tcp://127.0.0.1:0?listen&format=raw&frame=length');
    const one = await program(portOf(length));
    one.socket.write(Buffer.from('\0\0\0\x02hi\0\0\0\0', 'latin1'));
    expect([await next(length), await next(length)]).toEqual(['hi', '']);
    await length.send('yes\n');
    await until(() => one.heard() === '\0\0\0\x04yes\n', 'the answer has its length in front');

    const fixed = await use('tcp://127.0.0.1:0?listen&format=raw&frame=fixed&slot=3');
    const two = await program(portOf(fixed));
    two.socket.write('abcdef');
    expect([await next(fixed), await next(fixed)]).toEqual(['abc', 'def']);
    expect(await codeOf(fixed.send('ab'))).toBe('NARU_INVALID_MESSAGE');
    await fixed.send('xyz');
    await until(() => two.heard() === 'xyz', 'three bytes');

    const chunk = await use('tcp://127.0.0.1:0?listen&format=raw&frame=chunk');
    const three = await program(portOf(chunk));
    three.socket.write('whatever');
    expect(await next(chunk)).toBe('whatever');

    const eof = await use('tcp://127.0.0.1:0?listen&format=raw&frame=eof');
    const four = await program(portOf(eof));
    four.socket.write('all ');
    four.socket.end('of it\n');
    expect(await next(eof)).toBe('all of it\n');
    const five = await program(portOf(eof));
    await eof.send('answer');
    await until(() => five.heard() === 'answer' && five.ended(), 'the answer ends the connection');
  });

  test('a line that does not end is cut off at the limit and told as an event', async () => {
    const mailbox = await use('tcp://127.0.0.1:0?listen&format=raw&frame=lines&size=1000');
    const errors: unknown[] = [];
    mailbox.on('error', ({ error }) => errors.push((error as { code?: string }).code));
    const bad = await program(portOf(mailbox));
    const good = await program(portOf(mailbox));
    bad.socket.write(`fine\n${'x'.repeat(5_000)}`);
    await until(bad.ended, 'it is cut off');
    good.socket.write('also fine\n');
    expect([await next(mailbox), await next(mailbox)]).toEqual(['fine', 'also fine']);
    expect(errors).toEqual(['NARU_TOO_LARGE']);
  });

  test('a full mailbox pauses the socket, and no byte is lost', { timeout: 60_000 }, async () => {
    const mailbox = await use('tcp://127.0.0.1:0?listen&format=raw&frame=lines&depth=100');
    const { socket } = await program(portOf(mailbox));
    const lines = Array.from({ length: 50_000 }, (_, n) => `${n} ${'x'.repeat(100)}`);
    socket.write(`${lines.join('\n')}\n`);
    await until(() => socket.writableLength > 0, 'the writer has to wait');
    await until(() => mailbox.peers.producers === 1, 'it is connected');
    expect((await mailbox.stats()).place.depth).toBeLessThanOrEqual(100);
    socket.end();
    let n = 0;
    for await (const batch of mailbox.batches({ timeoutMs: 8_000 })) {
      for (const message of batch) {
        expect(message.data).toBe(lines[n]);
        n += 1;
      }
      if (n === lines.length) break;
    }
  });
});

describe('connecting', () => {
  test('to a stranger’s server: both directions, and again after it closed the connection', async () => {
    const heard: string[] = [];
    let connections = 0;
    const port = await serve((socket) => {
      connections += 1;
      socket.write(`welcome ${connections}\n`);
      socket.on('data', (bytes) => {
        heard.push(bytes.toString());
        if (bytes.toString().includes('bye')) socket.end();
      });
    });
    const mailbox = await use(`tcp://127.0.0.1:${port}?format=raw&frame=lines`);
    expect(await next(mailbox)).toBe('welcome 1');
    await mailbox.send('hello');
    await mailbox.send('bye');
    expect(await next(mailbox)).toBe('welcome 2');
    await mailbox.send('again');
    await until(() => heard.join('') === 'hello\nbye\nagain\n', 'the server has all');
  });

  test('end() says that nothing more comes', async () => {
    let isEnded = false;
    const port = await serve((socket) => {
      socket.resume();
      socket.on('end', () => {
        isEnded = true;
      });
    });
    const mailbox = await use(`tcp://127.0.0.1:${port}?format=raw&frame=lines`);
    await mailbox.send('last');
    await mailbox.end();
    await until(() => isEnded, 'the server sees the end');
    expect(await codeOf(mailbox.send('more'))).toBe('NARU_CLOSED');
  });

  test('what was sent before close() arrives', async () => {
    let text = '';
    const port = await serve((socket) => {
      socket.on('data', (bytes) => {
        text += bytes.toString();
      });
    });
    const mailbox = await use(`tcp://127.0.0.1:${port}?format=raw&frame=lines`);
    const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n}`);
    await mailbox.sendMany(lines);
    expect(await mailbox.close()).toEqual({ undelivered: 0 });
    await until(() => text === `${lines.join('\n')}\n`, 'every line is there');
  });
});

describe.runIf(hasPython)('a Python program', () => {
  test('connects to tcp:// and unix://, sends lines and reads answers', async () => {
    const tcp = await use('tcp://127.0.0.1:0?listen&format=raw&frame=lines');
    const unix = await use(`unix://${folder}/p.sock?format=raw&frame=lines`);
    const code = (family: string, address: string): string => `
import socket
s = socket.socket(socket.${family})
s.connect(${address})
s.sendall(b"from python\\n")
print(s.makefile().readline().strip())
`;
    for (const [mailbox, text] of [
      [tcp, code('AF_INET', `("127.0.0.1", ${portOf(tcp)})`)],
      [unix, code('AF_UNIX', `"${folder}/p.sock"`)],
    ] as const) {
      const python = peers.run('python3', ['-c', text]);
      expect(await next(mailbox)).toBe('from python');
      await mailbox.send('from naru');
      await python.hears((said) => said['line'] === 'from naru');
      expect(await python.exited).toBe(0);
    }
  });

  test('serves a unix socket that naru connects to', async () => {
    const path = join(folder, 'server.sock');
    const python = peers.run('python3', [
      '-u',
      '-c',
      `
import socket
s = socket.socket(socket.AF_UNIX); s.bind("${path}"); s.listen()
print("listening")
c, _ = s.accept()
n = int.from_bytes(c.recv(4), "big"); print(c.recv(n).decode())
c.sendall((5).to_bytes(4, "big") + b"hello")
c.recv(1)
`,
    ]);
    await python.hears((said) => said['line'] === 'listening');
    const mailbox = await use(`unix://${path}?format=raw&frame=length&create=never`);
    await mailbox.send('to python');
    await python.hears((said) => said['line'] === 'to python');
    expect(await next(mailbox)).toBe('hello');
  });
});
