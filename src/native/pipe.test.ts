// Pipes: looking without taking, taking exactly so much, being told once of a change, waiting for a reader.

import { closeSync, constants, existsSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';
import { addon, Stage, until } from './stage.fixture.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

describe.skipIf(tryNative() === undefined)(`pipes (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: Stage;
  let path: string;
  const memory = new ArrayBuffer(70_000);

  beforeEach(() => {
    stage = new Stage();
    path = stage.path('fifo');
    addon.makeFifo(path, 0o600);
  });
  afterEach(() => stage.close());

  const seen = (length: number): string => Buffer.from(memory, 0, Math.max(0, length)).toString();

  test('a look shows what is there and leaves it; a skip takes exactly so much', () => {
    const reader = stage.open('fifo', O_RDONLY | O_NONBLOCK);
    const view = addon.pipeView(reader);
    expect(addon.pipePeek(view, memory, 0, 100)).toBe(0);
    const writer = stage.open('fifo', O_WRONLY | O_NONBLOCK);
    expect(addon.pipePeek(view, memory, 0, 100)).toBe(-1);
    writeSync(writer, 'hello world');
    for (let n = 0; n < 3; n += 1) expect(seen(addon.pipePeek(view, memory, 0, 100))).toBe('hello world');
    expect(seen(addon.pipePeek(view, memory, 0, 5))).toBe('hello');
    addon.pipeSkip(view, 6);
    expect(addon.pipeBytes(writer)).toBe(5);
    const rest = Buffer.alloc(100);
    expect(rest.toString('utf8', 0, readSync(reader, rest))).toBe('world');
    addon.pipeViewClose(view);
    expect(() => addon.pipePeek(view, memory, 0, 1)).toThrow(/not closed/);
  });

  test('a full pipe is seen whole; a write that finds no room or nobody says so', () => {
    const reader = openSync(path, O_RDONLY | O_NONBLOCK);
    const writer = stage.open('fifo', O_WRONLY | O_NONBLOCK);
    const size = addon.pipeSize(writer, 0);
    expect(addon.pipeWrite(writer, memory, 0, size)).toBe(size);
    expect(addon.pipeWrite(writer, memory, 0, 1)).toBe(-1);
    const view = addon.pipeView(reader);
    expect(addon.pipePeek(view, memory, 0, size)).toBe(size);
    expect(addon.pipeSize(writer, size * 2)).toBe(size * 2);
    expect(() => addon.pipeSize(writer, 4096)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    expect(addon.pipeIsAbandoned(writer)).toBe(false);
    addon.pipeViewClose(view);
    closeSync(reader);
    expect(addon.pipeIsAbandoned(writer)).toBe(true);
    expect(addon.pipeWrite(writer, memory, 0, 1)).toBe(-2);
  });

  test('a change is told once: bytes, and that the writers have gone', () => {
    const reader = stage.open('fifo', O_RDONLY | O_NONBLOCK);
    const view = addon.pipeView(reader);
    const changed = (): boolean => {
      const is = addon.waitReady(addon.pipeEdge(view), false, 0) === 'woken';
      addon.pipeCalm(view);
      return is;
    };
    expect(changed()).toBe(false);
    const writer = openSync(path, O_WRONLY | O_NONBLOCK);
    writeSync(writer, 'a');
    expect([changed(), changed()]).toEqual([true, false]);
    writeSync(writer, 'b');
    expect([changed(), changed()]).toEqual([true, false]);
    expect(addon.pipeIsAbandoned(reader)).toBe(false);
    closeSync(writer);
    expect([changed(), changed()]).toEqual([true, false]);
    expect(addon.pipeIsAbandoned(reader)).toBe(true);
    addon.pipeViewClose(view);
  });

  test('who waits for a reader sleeps in open(2) and is woken by one; the wait can be given up', async () => {
    const placeholder = stage.open('placeholder');
    const task = addon.waitReaderAsync(path, placeholder, -1);
    let outcome = '';
    void task.promise.then((result) => (outcome = result));
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(outcome).toBe('');
    const reader = stage.open('fifo', O_RDONLY | O_NONBLOCK);
    expect(await task.promise).toBe('woken');
    expect(fstatSync(placeholder).isFIFO()).toBe(true);
    writeSync(placeholder, 'x');
    expect(addon.pipeBytes(reader)).toBe(1);
    addon.makeFifo(stage.path('other'), 0o600);
    const other = stage.open('file');
    expect(await addon.waitReaderAsync(stage.path('other'), other, 20).promise).toBe('timeout');
    const given = addon.waitReaderAsync(stage.path('other'), other, -1);
    addon.cancelTask(given.id);
    expect(await given.promise).toBe('cancelled');
    expect(fstatSync(other).isFile()).toBe(true);
    expect(addon.waitReader(stage.path('other'), other, 20)).toBe('timeout');
    await expect(addon.waitReaderAsync(stage.path('nothing'), other, -1).promise).rejects.toMatchObject({
      code: 'ENOENT',
    });
    expect(existsSync(stage.path('nothing'))).toBe(false);
  });

  test('a descriptor is watched for what is asked, and for errors in any case', async () => {
    const reader = openSync(path, O_RDONLY | O_NONBLOCK);
    const writer = stage.open('fifo', O_WRONLY | O_NONBLOCK);
    let calls = 0;
    const watch = addon.watch(writer, () => {
      calls += 1;
      addon.watchSet(watch, 0, false);
    });
    addon.watchSet(watch, 2, true);
    await until('there is room', () => calls === 1);
    addon.watchSet(watch, 4, true);
    closeSync(reader);
    await until('the reader has gone', () => calls === 2);
    addon.watchClose(watch);
    expect(() => addon.watch(writer, undefined as never)).toThrow(/function/);
  });

  test('a range belongs to one open file, and goes with it', () => {
    stage.open('fifo', O_RDONLY | O_NONBLOCK);
    const [one, two, three] = [0, 1, 2].map(() => openSync(path, O_WRONLY | O_NONBLOCK)) as [
      number,
      number,
      number,
    ];
    expect(addon.lockRange(one, 5, 1)).toBe(true);
    expect(addon.lockRange(two, 6, 1)).toBe(true);
    expect(addon.lockRange(three, 0, 0)).toBe(false);
    closeSync(one);
    closeSync(two);
    expect(addon.lockRange(three, 0, 0)).toBe(true);
    addon.closeDescriptor(three);
    expect(() => fstatSync(three)).toThrow(/EBADF/);
  });
});
