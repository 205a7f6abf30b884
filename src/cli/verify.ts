// naru doctor --verify DIR: reads a data folder in full and says what is damaged. Changes nothing in it.

import { checkLogIn } from '../disk/index.ts';
import { EXIT } from './exit.ts';
import { formatBytes, formatCount, print, printJson } from './output.ts';

/** @returns the exit code: done, or corrupt when a file is damaged */
export async function verifyFolder(folder: string, asJson: boolean): Promise<number> {
  const report = await checkLogIn(folder);
  const isWhole = report.damaged.length === 0;
  if (asJson) {
    await printJson({ ok: isWhole, folder, ...report });
  } else {
    const { segments, storedRecords, usedBytes, isClean, tornRecords, tornBytes, damaged } = report;
    const size = `${formatCount(storedRecords)} records in ${formatCount(segments)} segments, ${formatBytes(usedBytes)}`;
    const end = isClean
      ? 'closed properly'
      : `not closed properly: the next start cuts off ${formatCount(tornRecords)} records that were being written, ${formatBytes(tornBytes)}`;
    const lines = damaged.map(({ file, offset, what }) => `damaged: ${file} at byte ${offset}: ${what}\n`);
    await print(`${folder}: ${size}; ${end}\n${lines.join('')}${isWhole ? 'nothing is damaged\n' : ''}`);
  }
  return isWhole ? EXIT.done : EXIT.corrupt;
}
