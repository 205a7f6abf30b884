import { number, object, pipe, string, transform } from 'valibot';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isNaruError, type NaruError } from '../errors/index.ts';
import { validate, type Schema } from './schema.ts';

/** A schema that answers what it is told to. */
function schemaOf(answer: (value: unknown) => unknown): Schema {
  return { '~standard': { version: 1, vendor: 'test', validate: answer as never } };
}

function refusal(act: () => unknown): NaruError {
  try {
    act();
  } catch (error) {
    if (isNaruError(error, 'NARU_INVALID_MESSAGE')) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('validate', () => {
  test('gives what the schema makes of the value: zod', () => {
    const schema = z.object({ id: z.number(), name: z.string().default('none') });
    expect(validate(schema, { id: 1 }, 'shm://x')).toEqual({ id: 1, name: 'none' });
  });

  test('gives what the schema makes of the value: valibot', () => {
    const schema = object({ id: pipe(string(), transform(Number)), more: number() });
    expect(validate(schema, { id: '7', more: 1 }, 'shm://x')).toEqual({ id: 7, more: 1 });
  });

  test('refuses with the mailbox, the paths and the reasons', () => {
    const schema = z.object({ user: z.object({ age: z.number() }), tags: z.array(z.string()) });
    const error = refusal(() => validate(schema, { user: { age: 'old' }, tags: ['a', 5] }, 'shm://x'));
    expect(error.mailbox).toBe('shm://x');
    expect(error.message).toContain('user.age:');
    expect(error.message).toContain('tags.1:');
  });

  test('shows five issues and the number of the others', () => {
    const issues = Array.from({ length: 8 }, (_, i) => ({ message: `issue ${i}`, path: [{ key: 'k' }, i] }));
    const { message } = refusal(() =>
      validate(
        schemaOf(() => ({ issues })),
        1,
        'shm://x',
      ),
    );
    expect(message).toContain('k.4: issue 4');
    expect(message).not.toContain('issue 5');
    expect(message).toContain('and 3 more');
  });

  test('an asynchronous schema gives a promise', async () => {
    const good = schemaOf((value) => Promise.resolve({ value: [value] }));
    const bad = schemaOf(() => Promise.resolve({ issues: [{ message: 'late no' }] }));
    expect(await validate(good, 1, 'shm://x')).toEqual([1]);
    await expect(validate(bad, 1, 'shm://x')).rejects.toThrow('late no');
  });

  test('a schema that throws is not hidden', () => {
    const broken = schemaOf(() => {
      throw new RangeError('broken schema');
    });
    expect(() => validate(broken, 1, 'shm://x')).toThrow('broken schema');
  });
});
