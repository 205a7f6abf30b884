// file:///folder: a log as a mailbox. file:///name?format=raw: one plain file as a mailbox that holds the newest value. Joins the parts
// of this folder.

import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockHolder } from '../../disk/index.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { fileLog, fileRaw } from './capabilities.ts';
import { FileDriver } from './driver.ts';
import { fileError } from './error.ts';
import { plainFile } from './kind.ts';
import { isMailbox, removeRest } from '../../journal/folder.ts';
import { openLogMailbox } from './log-mailbox.ts';
import { LOG_PARAMETERS, readLogOptions } from './log-options.ts';
import { type FileOptions, PARAMETERS, readFileOptions, refusal } from './options.ts';

export const place: Place = {
  modes: [fileLog, fileRaw],
  parameters: [...PARAMETERS, ...LOG_PARAMETERS],
  check(url, options) {
    refuseOthers(url, options);
    if (options.format === 'raw') readFileOptions(url, options);
    else readLogOptions(url, options);
  },
  async open(url, options, context) {
    if (options.format !== 'raw') return await openLogMailbox(readLogOptions(url, options), options, context);
    const own = readFileOptions(url, options);
    const exists = await isThere(own);
    options.signal.throwIfAborted();
    if (exists && own.create === 'new') {
      throw refusal('NARU_EXISTS', own.text, 'the file exists already (create: "new")');
    }
    if (!exists && own.create === 'never') {
      throw refusal('NARU_NOT_FOUND', own.text, 'there is no such file (create: "never")');
    }
    return new FileDriver(own, !exists, options.survives === 'restart', context.hooks);
  },
};

/** Removes the log in a folder, damaged or not, that no process has open. @throws NARU_EXISTS  one has; NARU_NOT_FOUND */
export async function removeLog({ path, text }: PlaceUrl): Promise<void> {
  if (!(await isMailbox(path))) throw refusal('NARU_NOT_FOUND', text, 'there is no mailbox in this folder');
  const holder = await lockHolder(path);
  if (holder !== undefined) throw refusal('NARU_EXISTS', text, `process ${holder} has it open`);
  await removeRest(path);
}

/** A parameter of the one kind says nothing to the other. */
function refuseOthers({ extra, text }: PlaceUrl, { format }: PlaceOptions): void {
  const meaningless = format === 'raw' ? LOG_PARAMETERS : PARAMETERS;
  const name = meaningless.find((each) => extra[each] !== undefined);
  if (name === undefined) return;
  const what = format === 'raw' ? 'a plain file' : 'a folder';
  throw refusal('NARU_INVALID_ARGUMENT', text, `the parameter ${name} has no meaning for ${what}`);
}

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
