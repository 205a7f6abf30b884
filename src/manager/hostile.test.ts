// What strangers and clients that lie can do to a Manager: nothing. A canary client stays served throughout.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Manager, openMap } from '../open-state.ts';
import type { SharedMap } from '../state/map.ts';
import { FrameWriter } from '../wire/frames.ts';
import { encodePreamble } from '../wire/splitter.ts';
import { checkOpening, encodeOpening, isProof, prove } from './handshake.ts';
import { MANAGER } from './limits.ts';
import { Verb } from './protocol.ts';

const KEY = 'the key of the hostile test';
let folder: string;
let path: string;
let manager: Manager;
let canary: SharedMap;
let sockets: Socket[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'naru-manager-'));
  path = join(folder, 'm.sock');
  sockets = [];
  manager = await Manager.start({ listen: `unix://${path}`, key: KEY });
  canary = (await openMap(`unix://${path}?name=canary`, { key: KEY })) as unknown as SharedMap;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await canary.close();
  await manager.stop();
  rmSync(folder, { recursive: true });
});

async function dial(): Promise<Socket> {
  const socket = connect({ path });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16LE(message.byteLength);
  return Buffer.concat([head, message]);
}

/** So many bytes, or all there are when the other side closes. */
async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk = socket.read(bytes) as Buffer | null;
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) return Buffer.alloc(0);
    await new Promise<void>((resolve) => {
      socket.once('readable', () => resolve());
      socket.once('close', () => resolve());
    });
  }
}

async function hear(socket: Socket): Promise<Buffer> {
  const head = await read(socket, 2);
  return head.length < 2 ? head : await read(socket, head.readUInt16LE(0));
}

/** The socket is closed by the Manager, and the canary sings. */
async function expectCut(socket: Socket): Promise<void> {
  await expectClosed(socket);
  await sing();
}

async function expectClosed(socket: Socket): Promise<void> {
  socket.resume();
  if (socket.closed) return;
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
}

async function sing(): Promise<void> {
  const n = Math.random();
  await canary.set('song', n);
  expect(await canary.get('song')).toBe(n);
}

/** Goes through the handshake, as the very client. @returns every message of it */
async function enter(socket: Socket): Promise<Buffer[]> {
  const hello = encodeOpening(Buffer.alloc(32, 7));
  socket.write(framed(hello));
  const challenge = await hear(socket);
  const proof = prove('client', KEY, [hello, challenge]);
  socket.write(framed(proof));
  const answer = await hear(socket);
  expect(isProof(answer, 'server', KEY, [hello, challenge, proof])).toBe(true);
  return [hello, challenge, proof, answer];
}

test('garbage, the first bytes of other protocols and messages that are too long end the connection', async () => {
  const beginnings = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    encodePreamble(1, 0),
    framed(Buffer.alloc(257)),
    framed(Buffer.alloc(0)),
    framed(Buffer.from('NARU-MGR')),
    framed(Buffer.alloc(200, 0xff)),
    Buffer.alloc(100_000, 0xff),
  ];
  for (const bytes of beginnings) {
    const socket = await dial();
    socket.write(bytes);
    await expectCut(socket);
  }
  expect(manager.stats()).toMatchObject({ connections: 1, refused: beginnings.length });
});

test('an opening of another version, digest or length is refused with a word', async () => {
  const right = encodeOpening(Buffer.alloc(32, 1));
  const other = Buffer.from(right);
  other[8] = 2;
  const digest = Buffer.from(right);
  digest.write('sha1__', 10, 'latin1');
  for (const hello of [other, digest, right.subarray(0, right.length - 1)]) {
    expect(checkOpening(hello)).toBe('version');
    const socket = await dial();
    socket.write(framed(hello));
    expect((await hear(socket)).toString('latin1')).toMatch(/^NARU-NO/);
    await expectCut(socket);
  }
});

test('a handshake that was heard before, or sent back, or cut off, opens nothing', async () => {
  const heard = await enter(await dial());
  const [hello, , proof, answer] = heard as [Buffer, Buffer, Buffer, Buffer];
  // Replayed: the challenge is another one.
  for (const old of [proof, answer]) {
    const socket = await dial();
    socket.write(framed(hello));
    await hear(socket);
    socket.write(framed(old));
    expect((await hear(socket)).toString('latin1')).toMatch(/^NARU-NO/);
    await expectCut(socket);
  }
  // Reflected: what the Manager said is said to it.
  const mirror = await dial();
  mirror.write(framed(hello));
  mirror.write(framed(await hear(mirror)));
  expect((await hear(mirror)).toString('latin1')).toMatch(/^NARU-NO/);
  await expectCut(mirror);
  // Truncated: half a proof, then the end.
  const half = await dial();
  half.write(framed(hello));
  await hear(half);
  half.end(framed(proof).subarray(0, 20));
  await expectCut(half);
  // A proof without its role, or of the other role.
  const roles = await dial();
  roles.write(framed(hello));
  const challenge = await hear(roles);
  roles.write(framed(prove('server', KEY, [hello, challenge])));
  expect((await hear(roles)).toString('latin1')).toMatch(/^NARU-NO/);
  await expectCut(roles);
});

test('nothing of what a stranger says is parsed, whatever comes along with it', async () => {
  const parse = vi.spyOn(JSON, 'parse');
  try {
    const purpose = framed(Buffer.from('{"kind":"mailbox","name":"jobs","identity":"x"}'));
    const opening: Buffer[] = [encodePreamble(1, 0)];
    const writer = new FrameWriter({
      emit: (bytes) => opening.push(Buffer.from(bytes)),
      wake: () => undefined,
    });
    writer.record(
      Verb.open,
      { id: 1, ref: 0, x: 0, y: 0 },
      '{"kind":"map","name":"mine","identity":"x"}',
      Buffer.alloc(0),
    );
    writer.flush();
    const hello = framed(encodeOpening(Buffer.alloc(32, 9)));
    const wrong = framed(Buffer.alloc(32, 1));
    // All at once, so that it is there when the Manager has said no: as a purpose, and as calls of a client.
    for (const beginning of [[], [hello], [hello, wrong]])
      for (const rest of [[purpose], [purpose, ...opening], opening]) {
        const socket = await dial();
        socket.write(Buffer.concat([...beginning, ...rest]));
        await expectClosed(socket);
      }
    expect(parse).not.toHaveBeenCalled();
  } finally {
    parse.mockRestore();
  }
  await sing();
  expect(manager.stats()).toMatchObject({ connections: 1, refused: 9, objects: 1 });
});

test('a server that does not know the key, reflects or replays gets nothing from a client', async () => {
  const answers: ((socket: Socket) => Promise<void>)[] = [
    // Sends back whatever it hears.
    async (socket) => {
      for (;;) {
        const heard = await hear(socket);
        if (heard.length === 0) return;
        socket.write(framed(heard));
      }
    },
    // Knows the steps, not the key.
    async (socket) => {
      const hello = await hear(socket);
      const challenge = encodeOpening(Buffer.alloc(32, 3));
      socket.write(framed(challenge));
      const proof = await hear(socket);
      socket.write(framed(prove('server', 'some other key of mine', [hello, challenge, proof])));
    },
    // Sends the client's own proof back.
    async (socket) => {
      await hear(socket);
      socket.write(framed(encodeOpening(Buffer.alloc(32, 4))));
      socket.write(framed(await hear(socket)));
    },
    // Too long.
    (socket) => {
      socket.write(framed(Buffer.alloc(300)));
      return Promise.resolve();
    },
  ];
  const fake = join(folder, 'fake.sock');
  for (const answer of answers) {
    const server: Server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      answer(socket).catch(() => undefined);
    });
    server.listen(fake);
    await once(server, 'listening');
    const opened = openMap(`unix://${fake}?name=orders`, { key: KEY });
    await expect(opened).rejects.toMatchObject({ code: expect.stringMatching(/NARU_(DENIED|CORRUPT)/) });
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
});

test('strangers who say nothing are bounded in number, and cut off', { timeout: 120_000 }, async () => {
  const silent = await Promise.all(Array.from({ length: MANAGER.strangersMax }, () => dial()));
  const more = await dial();
  await expectCut(more);
  await Promise.all(silent.map((socket) => expectClosed(socket)));
  await sing();
  const map = await openMap(`unix://${path}?name=later`, { key: 'a key that is wrong' }).catch(
    (error: unknown) => error,
  );
  expect(map).toMatchObject({ code: 'NARU_DENIED' });
});

test('calls that are none get an error, frames that are none end the connection', async () => {
  const socket = await dial();
  await enter(socket);
  const sent: Buffer[] = [framed(Buffer.from('{}')), encodePreamble(1, 0)];
  const writer = new FrameWriter({ emit: (bytes) => sent.push(Buffer.from(bytes)), wake: () => undefined });
  const head = { ref: 0, x: 0, y: 0 };
  const nothing = Buffer.alloc(0);
  const asked = [
    '{"kind":"map"}',
    '{"kind":"__proto__","name":"a","identity":"x"}',
    '{"kind":"map","name":"../a","identity":"x"}',
    '{"kind":"map","name":"a","identity":"x","settings":{"maxEntries":-1}}',
    'no json',
    '['.repeat(60_000),
  ];
  for (const [id, text] of asked.entries()) writer.record(Verb.open, { ...head, id: id + 1 }, text, nothing);
  writer.record(0x7f, { ...head, id: 90 }, '', nothing);
  writer.record(Verb.get, { ...head, id: 91, ref: 12 }, 'key', nothing);
  writer.flush();
  socket.write(Buffer.concat(sent));
  const types: number[] = [];
  const answered = new Promise<void>((resolve) => {
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      types.length = 0;
      for (let at = 8; bytes.length >= at + 4 && bytes.length >= at + 4 + bytes.readUInt32LE(at); ) {
        types.push(bytes[at + 4] as number);
        at += 4 + bytes.readUInt32LE(at);
      }
      if (types.length === asked.length + 2) resolve();
    });
  });
  await answered;
  expect(new Set(types)).toEqual(new Set([Verb.failed]));
  await sing();
  socket.write(Buffer.from([0xff, 0xff, 0xff, 0x7f, 0x40]));
  await expectCut(socket);
  expect(manager.stats().objects).toBe(1);
});

test('deep and huge values are values, or too large', async () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const texts = (await openMap(`unix://${path}?name=texts`, {
    key: KEY,
    codec: 'text',
  })) as unknown as SharedMap;
  await texts.set('deep', deep);
  const json = (await openMap(`unix://${path}?name=texts`, { key: KEY })) as unknown as SharedMap;
  let depth = 0;
  for (let at = await json.get('deep'); Array.isArray(at); at = (at as unknown[])[0]) depth += 1;
  expect(depth).toBe(20_000);
  await expect(json.set('huge', 'x'.repeat(MANAGER.maxValueBytes))).rejects.toMatchObject({
    code: 'NARU_TOO_LARGE',
  });
  await json.set('names', JSON.parse('{"__proto__":{"polluted":1}}'));
  await json.get('names').catch(() => undefined);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  await json.close();
  await texts.close();
  await sing();
});
