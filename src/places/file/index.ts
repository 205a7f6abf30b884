// file:///name?format=raw: one plain file as a mailbox that holds the newest value. Joins the parts of this folder.

import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Place } from '../../mailbox/place.ts';
import { fileRaw } from './capabilities.ts';
import { FileDriver } from './driver.ts';
import { fileError } from './error.ts';
import { plainFile } from './kind.ts';
import { type FileOptions, PARAMETERS, readFileOptions, refusal } from './options.ts';

export const place: Place = {
  modes: [fileRaw],
  parameters: PARAMETERS,
  check(url, options) {
    readFileOptions(url, options);
  },
  async open(url, options, { hooks }) {
    const own = readFileOptions(url, options);
    const exists = await isThere(own);
    options.signal.throwIfAborted();
    if (exists && own.create === 'new') {
      throw refusal('NARU_EXISTS', own.text, 'the file exists already (create: "new")');
    }
    if (!exists && own.create === 'never') {
      throw refusal('NARU_NOT_FOUND', own.text, 'there is no such file (create: "never")');
    }
    return new FileDriver(own, !exists, options.survives === 'restart', hooks);
  },
};

/** Whether there is a file. @throws NARU_NOT_FOUND (no folder), NARU_UNSUPPORTED (something else), NARU_DENIED */
async function isThere({ path, text }: FileOptions): Promise<boolean> {
  try {
    if (!(await lstat(dirname(path))).isDirectory()) {
      throw refusal('NARU_NOT_FOUND', text, `${dirname(path)} is no folder`);
    }
  } catch (error) {
    throw fileError(error, text);
  }
  return (await plainFile(path, text)) !== undefined;
}
