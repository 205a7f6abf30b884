// The public face of errors/: the class, its codes, and the redaction every log must use.

export { ERROR_CODES, type ErrorCodeInfo, type NaruErrorCode } from './codes.ts';
export {
  isNaruError,
  NaruError,
  type NaruErrorContext,
  type NaruErrorJson,
  type PartialResult,
} from './error.ts';
export { redact, redactUrl } from './redact.ts';
