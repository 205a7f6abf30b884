// Errors between parent and child: as plain data and back.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { ErrorReport } from './messages.ts';

export function reportOf(error: unknown): ErrorReport {
  if (isNaruError(error)) return { naru: error.toJSON() };
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: '' };
  return { name: error.name, message: error.message, stack: error.stack ?? '' };
}

export function errorOf(report: ErrorReport): Error {
  if ('naru' in report) return NaruError.fromJSON(report.naru);
  const error = new Error(report.message);
  error.name = report.name;
  error.stack = report.stack;
  return error;
}
