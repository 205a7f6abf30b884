// Group access among real users: two members of a group and an outsider, each a uid of its own. Skipped where the tests do not
// run as root; what one user can check alone is in group.test.ts.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cleanLeftovers } from './leftovers.ts';
import { Scene, type PeerProcess, until, upTo } from './scene.fixture.ts';
import { Package, type User, usersProblem } from './users.fixture.ts';

const GID = 64_321;
const ann: User = { uid: 65_533, groups: [GID] };
const ben: User = { uid: 65_534, groups: [GID] };
const outsider: User = { uid: 65_532, groups: [] };
const COUNT = 200;

const problem = usersProblem();

describe.skipIf(problem !== undefined)(`users of a group (${problem ?? 'as root'})`, () => {
  let shared: Package;
  let scene: Scene;
  let folder: string;
  beforeAll(() => {
    shared = new Package();
  });
  afterAll(() => shared.remove());
  beforeEach(() => {
    scene = new Scene();
    folder = `${scene.folder}-g${GID}`;
  });
  afterEach(() => scene.end());

  const consume = (user: User, name = 'm'): PeerProcess =>
    scene.run(shared.peer(user, { name, gid: GID, role: 'consumer' }));
  const produce = (user: User, orders: object = {}): PeerProcess =>
    scene.run(shared.peer(user, { name: 'm', gid: GID, role: 'producer', id: 1, count: COUNT, ...orders }));
  const got = ({ lines }: PeerProcess, id: number): number[] =>
    lines.filter((line) => line.startsWith(`got ${id} `)).map((line) => Number(line.split(' ')[2]));
  const isOpen = (peer: PeerProcess): Promise<void> =>
    until(() => peer.lines.includes('open'), 'the mailbox is open');
  /** Makes the group's folder and a mailbox's as Ann, who stays in it. */
  const annIsThere = async (): Promise<PeerProcess> => {
    const peer = scene.run(
      shared.peer(ann, { name: 'm', gid: GID, role: 'opener', hold: true, relation: 'N:N' }),
    );
    await isOpen(peer);
    return peer;
  };

  test.each([
    ['000', '000'],
    ['077', '077'],
    ['022', '077'],
    ['077', '000'],
  ])('with umask %s and %s send to each other, whoever made the mailbox', async (first, second) => {
    for (const [maker, other] of [
      [ann, ben],
      [ben, ann],
    ] as const) {
      const consumer = consume({ ...maker, umask: first }, 'm');
      await isOpen(consumer);
      const looks = fs.readdirSync(join(folder, 'm')).map((name) => join(folder, 'm', name));
      const modeAndGroup = (path: string): string => {
        const { mode, gid } = fs.lstatSync(path);
        return `${(mode & 0o7777).toString(8)} ${gid}`;
      };
      expect([folder, join(folder, 'm')].map(modeAndGroup)).toEqual([`2770 ${GID}`, `2770 ${GID}`]);
      expect(new Set(looks.map(modeAndGroup))).toEqual(new Set([`660 ${GID}`]));
      expect(await produce({ ...other, umask: second }).exit).toBe(0);
      await until(() => got(consumer, 1).length === COUNT, 'everything arrives');
      expect(got(consumer, 1)).toEqual(upTo(COUNT));
      consumer.child.kill('SIGKILL');
      await consumer.exit;
      cleanLeftovers(folder);
      expect(fs.readdirSync(folder)).toEqual([]);
    }
  });

  test('open the address of the other’s mailbox, ask and answer', async () => {
    const server = scene.run(
      shared.module(
        ann,
        `const m = await open('shm://m?accessGroup=${GID}'); m.serve((request) => request.data * 2); console.log(m.address);`,
      ),
    );
    await until(() => server.lines.length > 0, 'the server is there');
    const client = scene.run(
      shared.module(
        ben,
        `const m = await open('${server.lines[0]}'); console.log((await m.request(21)).data); await m.close();`,
      ),
    );
    expect(await client.exit).toBe(0);
    expect(client.lines).toEqual(['42']);
    // The server's own port lies beside its mailbox, the client's is gone with the client.
    expect(fs.readdirSync(folder)).toEqual(['m', expect.stringMatching(/^~port\./)]);
    expect(scene.mailboxes).toEqual([]);
  });

  test.each([
    'create:empty',
    'create:sized',
    'create:header',
    'create:before-ready',
    'create:ready',
    'seat:before-fifo',
    'seat:fifo-made',
    'seat:fifo-locked',
    'seat:slot-filled',
    'lane:owned',
    'offer:after-tail',
    'remove:ring-gone',
    'remove:lock-gone',
  ])('one is killed at %s, and the other goes on', async (failpoint) => {
    const dead = scene.run(
      shared.peer(
        { ...ann, umask: '077' },
        { name: 'm', gid: GID, role: failpoint.startsWith('remove') ? 'opener' : 'producer', failpoint },
      ),
    );
    expect(await dead.exit).toBe('SIGKILL');
    const consumer = consume({ ...ben, umask: '077' });
    await isOpen(consumer);
    expect(await produce(ben, { id: 2 }).exit).toBe(0);
    await until(() => got(consumer, 2).length === COUNT, 'everything arrives');
    consumer.child.kill('SIGKILL');
    await consumer.exit;
    cleanLeftovers(folder);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test('one is killed while both are at work, and its seat is free again', async () => {
    const consumer = consume(ben);
    await isOpen(consumer);
    const producer = produce(ann, { count: 10_000_000 });
    await until(() => got(consumer, 1).length > 500, 'it sends');
    producer.child.kill('SIGKILL');
    await until(() => consumer.lines.includes('event orphan'), 'its death is seen', 3_000);
    expect(await produce(ann, { id: 2 }).exit).toBe(0);
    await until(() => got(consumer, 2).length === COUNT, 'the next one is heard');
    const sequences = got(consumer, 1);
    expect(sequences).toEqual(upTo(sequences.length));
  });

  test('each can list, clear and remove what the other has made', async () => {
    const there = await annIsThere();
    const dead = scene.run(shared.peer(ann, { name: 'dead', gid: GID, role: 'opener', hold: true }));
    await isOpen(dead);
    dead.child.kill('SIGKILL');
    await dead.exit;
    const { lines, exit } = scene.run(
      shared.module(
        { ...ben, umask: '077' },
        `import { cleanLeftovers, groupFolder, listMailboxes, removeMailbox } from '${shared.file('places/shm/index.js')}';
         const folder = groupFolder('${GID}');
         console.log(listMailboxes(folder).map(({ name, state }) => name + ' ' + state).sort().join());
         console.log(cleanLeftovers(folder).join());
         console.log(await removeMailbox('m', folder));`,
      ),
    );
    expect(await exit).toBe(0);
    expect(lines).toEqual(['dead leftover,m live', 'dead', 'true']);
    expect(await there.exit).toBe(3);
    expect(there.lines).toEqual(['open', 'failed NARU_CLOSED']);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test('what a killed maker left half-made stops no other member', async () => {
    const peer = await annIsThere();
    const halfMade = (name: string): string => {
      fs.mkdirSync(join(folder, name));
      fs.chownSync(join(folder, name), ann.uid, GID);
      fs.chmodSync(join(folder, name), 0o2700);
      return name;
    };
    halfMade('a');
    halfMade('b');
    const closed = join(folder, 'b', 'lock.01234567-89ab-cdef-0123-456789abcdef');
    fs.writeFileSync(closed, '', { mode: 0o600 });
    fs.chownSync(closed, ann.uid, GID);
    fs.chmodSync(join(folder, 'b'), 0o2770);
    for (const name of ['a', 'b'])
      expect(await scene.run(shared.peer(ben, { name, gid: GID, role: 'opener' })).exit).toBe(0);
    // A creation sweeps, whatever its name is.
    halfMade('c');
    expect(await scene.run(shared.peer(ben, { name: 'x', gid: GID, role: 'opener' })).exit).toBe(0);
    expect(fs.readdirSync(folder)).toEqual(['m']);
    peer.child.kill('SIGKILL');
    await peer.exit;
    expect(cleanLeftovers(folder)).toEqual(['m']);
  });

  test('the group’s folder is made whole: a killed maker’s draft stops neither its user nor others', async () => {
    const draft = `${folder}.${ann.uid}`;
    fs.mkdirSync(draft, { mode: 0o700 });
    fs.chownSync(draft, ann.uid, ann.uid);
    expect(await scene.run(shared.peer(ann, { name: 'm', gid: GID, role: 'opener' })).exit).toBe(0);
    expect(fs.existsSync(draft)).toBe(false);
    fs.rmdirSync(folder);
    fs.mkdirSync(draft, { mode: 0o700 });
    fs.chownSync(draft, ann.uid, ann.uid);
    expect(await scene.run(shared.peer(ben, { name: 'm', gid: GID, role: 'opener' })).exit).toBe(0);
  });

  test('many members make the folder and the mailbox in the same moment', async () => {
    const peers = upTo(8).map((number) =>
      scene.run(
        shared.peer(
          { ...(number % 2 === 0 ? ann : ben), umask: '077' },
          { name: 'm', gid: GID, role: 'producer', id: number, count: COUNT, owner: 'system' },
        ),
      ),
    );
    expect(await Promise.all(peers.map(({ exit }) => exit))).toEqual(peers.map(() => 0));
    const consumer = consume(ben);
    await until(() => upTo(8).every((id) => got(consumer, id).length === COUNT), 'everything arrives');
    expect(fs.readdirSync(join(scene.folder, '..')).filter((name) => name.includes(`-g${GID}.`))).toEqual([]);
  });

  describe('an outsider', () => {
    const fails = async (user: User, url: string, create = 'if-missing'): Promise<string> => {
      const { lines, exit } = scene.run(
        shared.module(
          user,
          `await open('${url}', { create: '${create}' }).catch(({ code, message }) => console.log(code, message));`,
        ),
      );
      expect(await exit).toBe(0);
      return lines.join('\n');
    };

    test('is refused by name of the group, and by the kernel when it does not ask', async () => {
      await annIsThere();
      expect(await fails(outsider, `shm://m?accessGroup=${GID}`)).toMatch(/^NARU_DENIED .*group 64321/);
      // Around the check of this package: the files are closed to it as well.
      for (const create of ['if-missing', 'never'] as const) {
        const intruder = scene.run(
          shared.module(
            outsider,
            `import { openShm } from '${shared.file('places/shm/index.js')}';
             import { shmOptions } from '${shared.file('places/shm/peer.fixture.js')}';
             import { defaultEdges } from '${shared.file('mapped-ring/edges.js')}';
             const orders = { name: 'm', gid: ${GID}, role: 'opener', create: '${create}' };
             await openShm(shmOptions(orders), {}, undefined, {}, defaultEdges('shm://')).catch(({ code }) => console.log(code));`,
          ),
        );
        expect([await intruder.exit, intruder.lines]).toEqual([0, ['NARU_DENIED']]);
      }
    });

    test('cannot have its folder, or a link, taken for the group’s', async () => {
      const url = `shm://m?accessGroup=${GID}`;
      fs.mkdirSync(folder);
      fs.chownSync(folder, outsider.uid, outsider.uid);
      fs.chmodSync(folder, 0o2777);
      for (const create of ['if-missing', 'never'])
        expect(await fails(ann, url, create)).toMatch(/^NARU_DENIED .*belongs to group 65532, not 64321/);
      fs.rmdirSync(folder);
      fs.mkdirSync(join(scene.folder, 'real'));
      fs.symlinkSync(join(scene.folder, 'real'), folder);
      for (const create of ['if-missing', 'never'])
        expect(await fails(ann, url, create)).toMatch(/^NARU_DENIED .*it is not a folder/);
      fs.unlinkSync(folder);
      // It can make its own draft only.
      fs.mkdirSync(`${folder}.${ann.uid}`);
      fs.chownSync(`${folder}.${ann.uid}`, outsider.uid, outsider.uid);
      expect(await fails(ann, url)).toMatch(/^NARU_DENIED .*belongs to uid 65532/);
    });

    test('cannot use a place where whatever anybody makes belongs to the group', async () => {
      fs.chownSync(scene.folder, 0, GID);
      fs.chmodSync(scene.folder, 0o2777);
      process.env['NARU_RUNTIME_DIR'] = join(scene.folder, 'in');
      const made = join(scene.folder, `in-g${GID}`);
      fs.mkdirSync(made);
      fs.chownSync(made, outsider.uid, GID);
      fs.chmodSync(made, 0o2770);
      expect(await fails(ann, `shm://m?accessGroup=${GID}`)).toMatch(/^NARU_DENIED .*anybody can make/);
    });
  });
});
