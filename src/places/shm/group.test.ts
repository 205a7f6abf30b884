// What accessGroup means and what it refuses, as far as one user can see it: with the one group that every process is in. Other
// users are in users.test.ts.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openInbox } from '../../inbox.ts';
import { open } from '../../open.ts';
import { groupFolder, groupFolders } from './index.ts';
import { cleanLeftovers, listMailboxes, removeMailbox } from './leftovers.ts';
import { Scene, until } from './scene.fixture.ts';

const GID = process.getegid?.() ?? 0;
/** Its name in the group database, where it has one. */
const NAME = fs
  .readFileSync('/etc/group', 'utf8')
  .split('\n')
  .map((line) => line.split(':'))
  .find(([, , gid]) => gid === String(GID))?.[0];
const URL = `shm://m?accessGroup=${GID}` as const;

let scene: Scene;
let folder: string;
beforeEach(() => {
  scene = new Scene();
  folder = `${scene.folder}-g${GID}`;
});
afterEach(() => scene.end());

const denied = (message: RegExp): object => ({
  code: 'NARU_DENIED',
  message: expect.stringMatching(message),
});

test('a group’s mailbox and the user’s own of the same name are two', async () => {
  await using own = await open('shm://m');
  await using shared = await open(URL);
  await own.send('own');
  await shared.send('shared');
  expect((await shared.receive()).data).toBe('shared');
  expect((await own.receive()).data).toBe('own');
  expect([own.address, shared.address]).toEqual(['shm://m', URL]);
});

test.skipIf(NAME === undefined)('the group may be named, and its address says the gid', async () => {
  await using mailbox = await open(`shm://m?accessGroup=${NAME}&capacity=64KiB`);
  expect(mailbox.address).toBe(URL);
  expect(groupFolder(NAME ?? '')).toBe(folder);
});

test('a group that does not exist, or that this process is not in, is named in the error', async () => {
  for (const name of ['', 'no-such-group', '-1', '4294967295', '99999999999', '../etc', 'root:x'])
    await expect(open(`shm://m?accessGroup=${name}`), name).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
      message: expect.stringContaining(`no group "${name}"`),
    });
  // Root may use every group: users.test.ts shows who may not.
  if (process.geteuid?.() !== 0)
    await expect(open('shm://m?accessGroup=64321')).rejects.toMatchObject(denied(/group 64321/));
});

test('inboxes stay private, and other places do not know the parameter', async () => {
  await using inbox = await openInbox();
  await expect(open(`${inbox.address}?accessGroup=${GID}`)).rejects.toMatchObject({
    code: 'NARU_INVALID_ARGUMENT',
    message: expect.stringContaining('inbox'),
  });
  for (const url of ['memory://m', `unix://${scene.folder}/m.sock`, 'tcp://127.0.0.1:1'])
    await expect(open(`${url}?accessGroup=${GID}`)).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
      message: expect.stringContaining('unknown parameter accessGroup'),
    });
});

test('answers find the ports of the same group only', async () => {
  await using client = await open(URL);
  await using server = await open(URL);
  server.serve((request) => request.data);
  expect((await client.request('x')).data).toBe('x');
  const replies = async (gid?: number) => {
    const peer = await scene.peer({ name: 'r', ...(gid === undefined ? {} : { gid }) });
    const opened = await peer.driver.openReplies?.();
    if (opened === undefined) throw new Error('shm:// has replies');
    return opened;
  };
  const [own, shared, other] = [await replies(), await replies(GID), await replies(GID)];
  const message = {
    body: Buffer.from('a'),
    sequence: 1,
    time: 1,
    fields: undefined,
    confirm: undefined,
    done: undefined,
  };
  await shared.send(other.address, message);
  for (const [from, to] of [
    [own, shared.address],
    [shared, own.address],
    [shared, `${own.address}?accessGroup=${GID + 1}`],
  ] as const)
    await expect(from.send(to, message)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
  for (const one of [own, shared, other]) await one.close();
});

test('listing, cleaning and removing work on the folder of a group', async () => {
  const dead = scene.start({ name: 'dead', role: 'opener', hold: true, gid: GID });
  await until(() => dead.lines.includes('open'), 'it is open');
  await using mailbox = await open(URL);
  dead.child.kill('SIGKILL');
  await dead.exit;
  expect(groupFolders()).toEqual([{ path: folder, gid: GID, problem: undefined }]);
  const states = listMailboxes(folder).map(({ name, state }) => `${name} ${state}`);
  expect(states.sort()).toEqual(['dead leftover', 'm live']);
  expect(cleanLeftovers(folder)).toEqual(['dead']);
  expect(await removeMailbox('m', folder)).toBe(true);
  await expect(mailbox.receive()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
  expect(listMailboxes(folder)).toEqual([]);
});

test('create: "never" makes nothing', async () => {
  await expect(open(URL, { create: 'never' })).rejects.toMatchObject({
    code: 'NARU_NOT_FOUND',
    message: expect.stringContaining(folder),
  });
  expect(fs.existsSync(folder)).toBe(false);
});

describe('what lies in the way', () => {
  const lay = (path: string, mode: number): string => {
    fs.mkdirSync(path, { recursive: true });
    fs.chownSync(path, -1, GID);
    fs.chmodSync(path, mode);
    return path;
  };
  const expectDenied = async (message: RegExp): Promise<void> => {
    for (const create of ['if-missing', 'never'] as const)
      await expect(open(URL, { create })).rejects.toMatchObject(denied(message));
  };

  test.each([0o770, 0o2775, 0o2777, 0o3770])('a group’s folder of mode %o is refused', async (mode) => {
    lay(folder, mode);
    await expectDenied(/its mode is \d+, it must be 2770/);
    expect(groupFolders()[0]?.problem).toMatch(/must be 2770/);
    expect(() => groupFolder(String(GID))).toThrow(/must be 2770/);
  });

  test('a link in place of a folder or a file is refused', async () => {
    fs.symlinkSync(lay(join(scene.folder, 'real'), 0o2770), folder);
    await expectDenied(/it is not a folder/);
    fs.unlinkSync(folder);
    lay(folder, 0o2770);
    fs.symlinkSync(join(scene.folder, 'real'), join(folder, 'm'));
    await expectDenied(/it is not a folder/);
    await expect(removeMailbox('m', folder)).rejects.toMatchObject(denied(/it is not a folder/));
    fs.unlinkSync(join(folder, 'm'));
    const target = join(scene.folder, 'secret');
    fs.writeFileSync(target, 'secret', { mode: 0o600 });
    for (const name of ['lock', 'ring']) {
      fs.symlinkSync(target, join(lay(join(folder, 'm'), 0o2770), name));
      await expectDenied(/symbolic link/);
      fs.rmSync(join(folder, 'm'), { recursive: true });
    }
    expect(fs.readFileSync(target, 'utf8')).toBe('secret');
  });

  test('a lock or an object with another mode, or more names, is refused and left alone', async () => {
    const path = lay(join(lay(folder, 0o2770), 'm'), 0o2770);
    const put = (name: string, mode: number): string => {
      const file = join(path, name);
      fs.writeFileSync(file, Buffer.alloc(8192));
      fs.chmodSync(file, mode);
      return file;
    };
    put('lock', 0o666);
    await expectDenied(/lock is not used: its mode is 666, it must be 660/);
    put('lock', 0o660);
    const ring = put('ring', 0o666);
    await expectDenied(/ring is not used: its mode is 666, it must be 660/);
    fs.chmodSync(ring, 0o660);
    fs.linkSync(ring, join(scene.folder, 'second'));
    await expectDenied(/ring is not used: it has 2 names/);
    expect(listMailboxes(folder)).toMatchObject([{ name: 'm', state: 'damaged' }]);
    expect(await removeMailbox('m', folder)).toBe(true);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test('a file in place of a doorbell is not written to', async () => {
    const sleeper = await scene.peer({ name: 'm', gid: GID });
    await sleeper.consume();
    const bell = join(folder, 'm', 'p0');
    fs.unlinkSync(bell);
    fs.writeFileSync(bell, 'secret');
    const producer = await scene.peer({ name: 'm', gid: GID });
    await producer.send(1, 0, 5);
    // Nor taken for a proof of death, which would free the sleeper's seat. A FIFO would block the reader.
    expect(fs.lstatSync(bell).isFile()).toBe(true);
    expect(fs.readFileSync(bell, 'utf8')).toBe('secret');
    expect(producer.driver.peers).toEqual({ producers: 1, consumers: 1 });
    await until(() => sleeper.sequences(1).length === 5, 'the sleeper looks for itself');
  });

  test('a mailbox’s folder that is closed while it is in use ends its handles, and no process', async () => {
    const peer = await scene.peer({ name: 'm', gid: GID });
    fs.renameSync(join(folder, 'm'), join(folder, 'gone'));
    lay(join(folder, 'm'), 0o2000);
    await until(() => peer.failure !== undefined, 'it is told', 3_000);
    expect(peer.failure).toMatchObject({ code: 'NARU_CLOSED' });
  });
});
