// Python's multiprocessing beside naru/state: the same steps with Value and Array, and the same lines printed. Where Python's original has a
// trap, the two lines differ, and the test says how.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openValue } from 'naru/state';

const PYTHON = `
import signal, os
from multiprocessing import Process, Value, Array
def add(v, a, n):
    for _ in range(n):
        with v.get_lock(): v.value += 1
    for i in range(len(a)): a[i] = a[i] + 0.5
if __name__ == '__main__':
    v, a = Value('i', 0), Array('d', 4)
    for _ in range(3):
        p = Process(target=add, args=(v, a, 500)); p.start(); p.join()
    print('counted', v.value)
    print('array', list(a), len(a))
    print('slice', a[1:3])
    b = Value('b', 5)
    try: b.value = 'x'; print('text taken')
    except TypeError: print('text refused')
    try: a[4] = 1; print('index taken')
    except IndexError: print('index refused')
`;

const NARU = `
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openArray, openValue } from 'naru/state';
const v = await openValue('shm://v', 'i32');
const a = await openArray('shm://a', Float64Array, 4);
if (process.argv[2] === 'add') {
  for (let n = 0; n < 500; n += 1) v.add(1);
  for (let i = 0; i < a.length; i += 1) a.set(i, a.get(i) + 0.5);
} else {
  for (let n = 0; n < 3; n += 1) await once(fork(process.argv[1], ['add']), 'exit');
  const list = (one) => '[' + [...one].map((x) => (Number.isInteger(x) ? x.toFixed(1) : x)).join(', ') + ']';
  console.log('counted', v.get());
  console.log('array', list(a), a.length);
  console.log('slice', list(a.slice(1, 3)));
  const b = await openValue('shm://b', 'i8');
  const tried = (what, act) => { try { act(); console.log(what, 'taken'); } catch { console.log(what, 'refused'); } };
  tried('text', () => b.set('x'));
  tried('index', () => a.set(4, 1));
}
`;

/** What Python's originals do, a line a trap. */
const TRAPS = `
import os, signal, ctypes
from multiprocessing import Process, Value, Array, Manager
def hold(v):
    v.get_lock().acquire(); os.kill(os.getpid(), signal.SIGKILL)
if __name__ == '__main__':
    v = Value('b', 0); v.value = 300; print('out of range', v.value)
    a = Array('i', 1); a[0] = 2**31; print('array out of range', a[0])
    s = Array('c', 8); s.raw = b'a\\0b\\0\\0\\0\\0\\0'; print('text with NUL', s.value)
    c = Value(ctypes.c_bool, 2); print('bool of 2', c.value)
    h = Value('i', 0)
    p = Process(target=hold, args=(h,)); p.start(); p.join()
    print('lock of the dead', h.get_lock().acquire(timeout=0.5))
    with Manager() as m:
        d = m.dict(a=[1]); d['a'].append(2); print('nested change', d['a'])
`;

const NARU_TRAPS = `
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openArray, openMap, openValue } from 'naru/state';
const code = (act) => { try { return act(); } catch (error) { return error.code ?? error.name; } };
const h = await openValue('shm://h', 'i32');
if (process.argv[2] === 'hold') {
  await h.lock.acquire();
  process.kill(process.pid, 'SIGKILL');
}
const v = await openValue('shm://v', 'i8');
console.log('out of range', code(() => v.set(300)));
const a = await openArray('shm://a', Int32Array, 1);
console.log('array out of range', code(() => a.set(0, 2 ** 31)));
const s = await openValue('shm://s', 'text:8');
s.set('a\\0b');
console.log('text with NUL', JSON.stringify(s.get()));
const c = await openValue('shm://c', 'bool');
console.log('bool of 2', code(() => c.set(2)));
await once(fork(process.argv[1], ['hold']), 'exit');
console.log('lock of the dead', await h.withLock((guard) => (guard.recovered ? 'recovered' : 'taken'), { timeoutMs: 5000 }));
const m = await openMap('shm://m');
await m.set('a', [1]);
const list = await m.get('a');
console.log('nested change', code(() => list.push(2)), JSON.stringify(await m.get('a')));
`;

// Beside the package, so that "naru/state" is found.
const root = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;
let runtime: string;
beforeAll(() => {
  folder = mkdtempSync(join(root, 'build', 'python-state-'));
  runtime = mkdtempSync('/dev/shm/naru-test-');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(runtime, { recursive: true, force: true });
});

/** Runs a program. @returns the lines it printed */
function run(program: string, name: string, source: string): Promise<string[]> {
  const file = join(folder, name);
  writeFileSync(file, source);
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NARU_RUNTIME_DIR: runtime };
    const child = spawn(program, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output.trim().split('\n'));
      else reject(new Error(`${program} ended with ${code}: ${output}`));
    });
  });
}

describe('Value and Array', () => {
  test('print what Python’s originals print', { timeout: 120_000 }, async () => {
    const python = await run('python3', 'same.py', PYTHON);
    const naru = await run(process.execPath, 'same.mjs', NARU);
    expect(naru).toEqual(python);
    expect(naru[0]).toBe('counted 1500');
  });

  test('have none of their traps', { timeout: 120_000 }, async () => {
    expect(await run('python3', 'traps.py', TRAPS)).toEqual([
      'out of range 44',
      'array out of range -2147483648',
      "text with NUL b'a'",
      'bool of 2 True',
      'lock of the dead False',
      'nested change [1]',
    ]);
    expect(await run(process.execPath, 'traps.mjs', NARU_TRAPS)).toEqual([
      'out of range NARU_INVALID_ARGUMENT',
      'array out of range NARU_INVALID_ARGUMENT',
      'text with NUL "a\\u0000b"',
      'bool of 2 NARU_INVALID_ARGUMENT',
      'lock of the dead recovered',
      'nested change TypeError [1]',
    ]);
  });
});

/** Of each type code of Python's: its bytes, and the least and the greatest number that it keeps; of floats a third, to see the rounding. */
const CODES = `
import ctypes, json
from multiprocessing.sharedctypes import typecode_to_type
def kept(code, type):
    if code in 'cu': return []
    bits = 8 * ctypes.sizeof(type)
    if code in 'fd': return [str(type(1 / 3).value)]
    low = 0 if type(-1).value > 0 else -(2 ** (bits - 1))
    high = low + 2 ** bits - 1
    assert type(low).value == low and type(high).value == high and type(high + 1).value == low
    return [str(low), str(high)]
print(json.dumps({code: [ctypes.sizeof(type), *kept(code, type)] for code, type in typecode_to_type.items()}))
`;

test('the guide’s table names for each type the codes of Python’s that hold the same', {
  timeout: 120_000,
}, async () => {
  const [line = ''] = await run('python3', 'codes.py', CODES);
  const python = JSON.parse(line) as Record<string, [number, ...string[]]>;
  const guide = readFileSync(join(root, 'docs', 'guide', 'shared-state.md'), 'utf8');
  const rows = [...guide.matchAll(/^\| ((?:`[a-z]+\d*(?::N)?` ?)+)\|.*\| (.*) \|$/gm)];
  const named = new Set<string>();
  for (const [, codes = '', theirs = ''] of rows) {
    const ours = [...codes.matchAll(/`([a-z]+\d+)`/g)].map(([, code = '']) => code);
    const letters = [...theirs.matchAll(/'([a-zA-Z])'/g)].map(([, letter = '']) => letter);
    for (const letter of letters) named.add(letter);
    for (const [at, letter] of letters.entries()) {
      const code = ours[at % ours.length];
      if (code === undefined) continue;
      const [bytes, ...numbers] = python[letter] as [number, ...string[]];
      expect([code, letter, bytes * 8]).toEqual([code, letter, Number(code.slice(1))]);
      process.env['NARU_RUNTIME_DIR'] = runtime;
      await using value = await openValue(`shm://code-${letter}`, code as 'i32');
      const isBig = bytes === 8 && !code.startsWith('f');
      const numberOf = (text: string): number => (isBig ? BigInt(text) : Number(text)) as number;
      for (const text of numbers) {
        value.set(numberOf(text));
        expect([letter, String(value.get())]).toEqual([letter, text]);
      }
      const [low, high] = numbers;
      if (high === undefined || low === undefined) continue;
      const one = numberOf('1');
      for (const wrong of [numberOf(low) - one, numberOf(high) + one])
        expect(() => value.set(wrong)).toThrow(/takes/);
    }
  }
  // Every code that Python has is in the table.
  expect([...named].toSorted()).toEqual(Object.keys(python).toSorted());
});

test('two processes with two workers each count to exactly as much as they should', {
  timeout: 600_000,
}, async () => {
  const total = process.env['NARU_STATE_TOTAL'] ?? '10000000';
  const env = { ...process.env, NARU_RUNTIME_DIR: runtime, TOTAL: total };
  const example = join(root, 'build', 'examples', '15-shared-state.js');
  const child = spawn(process.execPath, [example], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await new Promise((resolve) => child.on('close', resolve));
  expect(output).toContain('counted exactly: true');
});
