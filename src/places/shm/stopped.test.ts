// Stopped is not dead: a peer that is stopped anywhere keeps what it has, holds up only those who need it, is named as what they
// are blocked by, and goes on where it was. And what counts as dead: zombies and reused pids, not a held lock.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { native } from '../../native/index.ts';
import { PARTICIPANT, SEAT } from '../../ring/layout.ts';
import { participantWord } from '../../ring/memory.ts';
import { fillSlot, listParticipants, stateOf } from '../../ring/participants.ts';
import { DeathWatch, keyOf, readLog, RECOVERY_MS, sceneForEach } from './death.fixture.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { fifoPath, isDead } from '../../mapped-ring/fifo.ts';
import { openObject, type RingObject } from '../../mapped-ring/object.ts';
import { releaseObject } from '../../mapped-ring/object-file.ts';
import { siteOf } from './runtime-folder.ts';
import { type LocalPeer, type PeerProcess, Scene, until, upTo } from './scene.fixture.ts';

/** Long enough that every timer has fired several times. */
const STOP_MS = Number(process.env['NARU_STOP_SECONDS'] ?? 1.3) * 1000;
const TIMEOUT = { timeout: 30_000 + 2 * STOP_MS };

let scene: Scene;
sceneForEach((made) => {
  scene = made;
});

const competing = { name: 'm', relation: 'N:N', laneBytes: 4096 } as const;
const topic = { ...competing, deliver: 'all' } as const;

async function stopTime(): Promise<void> {
  const end = performance.now() + STOP_MS;
  await until(() => performance.now() >= end, 'time passes', STOP_MS + 10_000);
}

/** State of a process as /proc has it: T = stopped, Z = zombie. */
function processState(pid: number): string {
  return /^\d+ \(.*\) (\S)/.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? '?';
}

async function isStopped({ child }: PeerProcess): Promise<void> {
  await until(() => processState(child.pid as number) === 'T', 'it is stopped');
}

async function blockers(peer: LocalPeer): Promise<readonly string[]> {
  return (await peer.driver.stats()).blockedBy ?? [];
}

describe('a competing consumer that is stopped', () => {
  test(
    'with claims in hand is robbed of none, is named while the lane is full, and settles them later',
    TIMEOUT,
    async () => {
      const other = await scene.peer(competing);
      const stopped = scene.start({ ...competing, role: 'consumer', hold: true });
      await until(() => other.driver.peers.consumers === 1, 'it is seated');
      await other.send(1, 0, 20);
      await until(() => stopped.lines.length >= 2 + 20, 'it has them all');
      stopped.child.kill('SIGSTOP');
      await isStopped(stopped);
      await other.consume();
      const sending = other.send(1, 20, 400);
      await until(() => other.got.length > 40, 'the other one goes on behind it');
      await stopTime();
      // Its oldest message holds the lane's head: the producer waits, and says for whom.
      const name = (await blockers(other)).map((text) => text.split('.')[0]);
      expect(name).toEqual([String(stopped.child.pid)]);
      expect(other.got.every(({ sequence, deliveries }) => sequence >= 20 && deliveries === 1)).toBe(true);
      expect(other.driver.peers.consumers).toBe(2);
      expect(other.events).toEqual([]);
      stopped.child.kill('SIGCONT');
      await until(() => processState(stopped.child.pid as number) !== 'T', 'it goes on');
      // It never settles: its death gives everything back.
      stopped.child.kill('SIGKILL');
      await stopped.exit;
      await sending;
      await until(() => other.got.length === 400, 'everything comes');
      const again = other.got.filter(({ deliveries }) => deliveries === 2).map(({ sequence }) => sequence);
      expect(again).toEqual(upTo(20));
      expect(new Set(other.got.map(keyOf)).size).toBe(400);
    },
  );

  test.each(['claim:held', 'claim:claimed', 'claim:taken', 'settle:before-head', 'settle:after-head'])(
    'while it holds a lane (%s) holds up that lane only, and goes on where it was',
    TIMEOUT,
    async (failpoint) => {
      const other = await scene.peer({ ...competing, laneBytes: 65_536 });
      const second = await scene.peer({ ...competing, laneBytes: 65_536 });
      const orders = { ...competing, role: 'consumer', failpoint, nth: 3, signal: 'SIGSTOP' } as const;
      const stopped = scene.start(orders);
      await until(() => other.driver.peers.consumers === 1, 'it is seated');
      await other.send(1, 0, 100);
      await isStopped(stopped);
      await other.consume();
      await second.send(2, 0, 200);
      await until(() => other.sequences(2).length === 200, 'the other lane goes on');
      await stopTime();
      expect(other.sequences(1)).toEqual([]);
      expect(other.events).toEqual([]);
      expect((await other.driver.stats()).extra['safetyWakeups']).toBe(0);
      stopped.child.kill('SIGCONT');
      const total = (): number => new Set([...readLog(stopped).acked, ...other.got.map(keyOf)]).size;
      await until(() => total() === 300, 'everything comes');
      const all = [...readLog(stopped).got.keys(), ...other.got.map(keyOf)];
      expect(new Set(all).size).toBe(all.length);
      expect(other.got.every(({ deliveries }) => deliveries === 1)).toBe(true);
      expect((await other.driver.stats()).depth).toBe(0);
    },
  );

  test(
    'while another one dies: what the dead had in the free lanes is not kept waiting',
    TIMEOUT,
    async () => {
      const wide = { ...competing, laneBytes: 65_536 } as const;
      const watch = new DeathWatch();
      const [one, two] = [await scene.peer(wide, watch.edges), await scene.peer(wide, watch.edges)] as const;
      const dying = scene.start({ ...wide, role: 'consumer', hold: true });
      await until(() => one.driver.peers.consumers === 1, 'it is seated');
      await one.send(1, 0, 10);
      await two.send(2, 0, 10);
      await until(() => dying.lines.length >= 2 + 20, 'it has messages of both lanes');
      const stopped = scene.start({
        ...wide,
        role: 'consumer',
        failpoint: 'claim:held',
        nth: 1,
        signal: 'SIGSTOP',
      });
      await until(() => one.driver.peers.consumers === 2, 'the second one is seated');
      // The two of them take turns: some of it is the dying one's.
      let sent = 10;
      for (; sent < 200 && processState(stopped.child.pid as number) !== 'T'; sent += 1) {
        await one.send(1, sent, sent + 1);
        const before = performance.now();
        await until(() => performance.now() - before > 3, 'it is taken');
      }
      await isStopped(stopped);
      const survivor = await scene.peer(wide, watch.edges);
      await survivor.consume();
      dying.child.kill('SIGKILL');
      await dying.exit;
      await until(() => survivor.sequences(2).length === 10, 'the free lane’s messages come');
      expect(survivor.got.filter(({ id }) => id === 2).every(({ deliveries }) => deliveries === 2)).toBe(
        true,
      );
      // Whoever of the three proved it told the others, though it could not finish.
      const first = survivor.got.find(({ id }) => id === 2)?.at ?? Number.POSITIVE_INFINITY;
      const recovery = first - watch.provedAt;
      process.stderr.write(`a death while a lane is held: recovery ${recovery.toFixed(1)} ms\n`);
      // Without being told it would be the timer's half a second.
      expect(recovery).toBeLessThanOrEqual(RECOVERY_MS);
      // The slot of the dead stays taken until the other lane is free.
      expect(survivor.sequences(1)).toEqual([]);
      stopped.child.kill('SIGCONT');
      const total = (): number => new Set([...readLog(stopped).acked, ...survivor.got.map(keyOf)]).size;
      await until(() => total() === 10 + sent, 'the rest comes');
    },
  );
});

describe('a topic’s consumer that is stopped', () => {
  test('makes producers wait and is named; nothing is missing when it goes on', TIMEOUT, async () => {
    const other = await scene.peer(topic);
    await other.consume();
    const stopped = scene.start({ ...topic, role: 'consumer' });
    await until(() => stopped.lines.includes('seated'), 'it is seated');
    stopped.child.kill('SIGSTOP');
    await isStopped(stopped);
    let isDone = false;
    const sending = other.send(1, 0, 1000).then(() => {
      isDone = true;
      return isDone;
    });
    await until(() => other.got.length > 30, 'the other one receives what fits');
    await stopTime();
    expect(isDone).toBe(false);
    expect((await blockers(other)).map((text) => text.split('.')[0])).toEqual([String(stopped.child.pid)]);
    expect(other.driver.peers.consumers).toBe(2);
    stopped.child.kill('SIGCONT');
    await sending;
    await until(() => other.got.length === 1000, 'the other one gets everything');
    await until(() => readLog(stopped).acked.size === 1000, 'the stopped one too');
    expect([...readLog(stopped).got.values()].every((deliveries) => deliveries === 1)).toBe(true);
  });
});

describe('what counts as dead', () => {
  test('a zombie: its parent has not reaped it, its lock is free all the same', TIMEOUT, async () => {
    const other = await scene.peer(competing);
    await other.consume();
    // The parent stops itself right after its child's death, so that it never asks for it.
    const program = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ${JSON.stringify(Scene.peerArguments({ ...competing, role: 'consumer', hold: true }))});
      child.stdout.on('data', () => { process.stdout.write(child.pid + '\\n'); process.kill(process.pid, 'SIGSTOP'); });
    `;
    const parent = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let out = '';
      parent.stdout.on('data', (data: Buffer) => {
        out += data.toString();
      });
      await until(() => other.driver.peers.consumers === 2 && out.includes('\n'), 'the child is seated');
      const pid = Number(out);
      process.kill(pid, 'SIGKILL');
      await until(() => processState(pid) === 'Z', 'it is a zombie');
      await until(() => other.driver.peers.consumers === 1, 'it is cleaned up', 3_000);
      expect(processState(pid)).toBe('Z');
    } finally {
      parent.kill('SIGKILL');
    }
  });

  test('a free lock with a living pid in the table (it was reused); not a held one', TIMEOUT, async () => {
    const other = await scene.peer(competing);
    const folder = join(scene.folder, 'm');
    const edges = defaultEdges('shm://');
    const object = openObject(siteOf(folder, undefined), edges) as RingObject;
    const { memory } = object;
    const foreign = { pid: process.ppid, start: 12_345, thread: 0, handle: 1 };
    const fds: number[] = [];
    try {
      for (const slot of [40, 41]) {
        edges.native.makeFifo(fifoPath(folder, slot), 0o600);
        fds.push(fs.openSync(fifoPath(folder, slot), fs.constants.O_RDWR | fs.constants.O_NONBLOCK));
      }
      expect(native('test').tryLock(fds[1] as number, 'exclusive')).toBe(true);
      for (const slot of [40, 41]) fillSlot(memory, slot, foreign);
      const state = (slot: number): boolean =>
        isDead(folder, listParticipants(memory).find((one) => one.slot === slot) as never, edges);
      expect([state(40), state(41)]).toEqual([true, false]);
      await until(() => stateOf(memory, 40) === SEAT.free, 'the dead one’s slot is free', 3_000);
      expect(stateOf(memory, 41)).toBe(SEAT.taken);
      expect(Atomics.load(memory.words, participantWord(41, PARTICIPANT.pid))).toBe(process.ppid);
    } finally {
      for (const fd of fds) fs.closeSync(fd);
      releaseObject(object, edges);
    }
    await other.driver.close();
  });

  test(
    'one of two workers of a process that is terminated with claims in hand; the other goes on',
    TIMEOUT,
    async () => {
      const wide = { ...competing, laneBytes: 65_536 } as const;
      const sender = await scene.peer(wide);
      const workers = upTo(2).map(
        () =>
          new Worker(Scene.peerFile, {
            argv: [JSON.stringify({ ...wide, role: 'consumer', hold: true, isQuiet: true })],
          }),
      );
      try {
        await until(() => sender.driver.peers.consumers === 2, 'both are seated');
        await sender.send(1, 0, 100);
        await until(() => sender.driver.peers.consumers === 2, 'both hold some');
        let unsettled = 0;
        for (let i = 0; i < 500 && unsettled < 100; i += 1) ({ unsettled } = await sender.driver.stats());
        await workers[0]?.terminate();
        await until(() => sender.driver.peers.consumers === 1, 'the terminated one’s seat is free', 3_000);
        await workers[1]?.terminate();
        await sender.consume();
        await until(() => sender.got.length === 100, 'everything comes back');
        expect(sender.got.map(({ sequence }) => sequence).toSorted((a, b) => a - b)).toEqual(upTo(100));
      } finally {
        for (const worker of workers) await worker.terminate();
      }
    },
  );
});
