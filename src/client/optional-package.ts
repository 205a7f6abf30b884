// Loads the client package of an engine, which users install only when they use that engine. Its types are never named here:
// each place says in an interface of its own what it needs of it.

import { NaruError } from '../errors/index.ts';

/**
 * @param name     as npm knows it
 * @param install  what to give to `npm install`: with the range that is tested
 * @returns the package's module; a CommonJS package's exports are its `default`
 * @throws NARU_PACKAGE_MISSING  with the npm command
 */
export async function importPackage(name: string, install: string, place: string): Promise<unknown> {
  try {
    // Not a literal: bundlers and the compiler must not look for what may be missing.
    return (await import(name)) as unknown;
  } catch (error) {
    if (!isAbsence(error, name)) throw error;
    throw new NaruError(
      'NARU_PACKAGE_MISSING',
      `${place}:// needs the package ${name}, which is not installed: npm install "${install}"`,
      { place, cause: error },
    );
  }
}

/** Whether it is this package that was not found, and not one of its own parts. */
function isAbsence(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${name}'`);
}
