// What errors of libzmq mean here: one code for each, where ZeroMQ has EAGAIN for four things.

import { NaruError, type NaruErrorCode } from '../../errors/index.ts';

/** What libzmq says, in our words. */
const MEANINGS: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  EADDRINUSE: ['NARU_EXISTS', 'another socket has bound this endpoint'],
  EADDRNOTAVAIL: ['NARU_INVALID_ARGUMENT', 'this machine has no such address to bind'],
  ENODEV: ['NARU_INVALID_ARGUMENT', 'this machine has no such network interface'],
  EINVAL: ['NARU_INVALID_ARGUMENT', 'libzmq does not understand this endpoint'],
  ENAMETOOLONG: ['NARU_INVALID_ARGUMENT', 'the path is too long for a Unix socket'],
  ENOENT: ['NARU_NOT_FOUND', 'the folder of the socket is not there'],
  EPROTONOSUPPORT: ['NARU_UNSUPPORTED', 'this build of libzmq does not know this transport'],
  ENOCOMPATPROTO: ['NARU_UNSUPPORTED', 'this pattern does not work over this transport'],
  EACCES: ['NARU_DENIED', 'the system does not allow it'],
  EPERM: ['NARU_DENIED', 'the system does not allow it'],
  EMFILE: ['NARU_LIMIT', 'there are no more sockets or descriptors (ulimit -n)'],
  ENFILE: ['NARU_LIMIT', 'the system has no more descriptors'],
  EAGAIN: ['NARU_FULL', 'there is no room now'],
  EHOSTUNREACH: ['NARU_PEER_GONE', 'the peer it is for is gone'],
  EFSM: ['NARU_INVALID_ARGUMENT', 'the pattern does not allow this call now'],
  EMSGSIZE: ['NARU_TOO_LARGE', 'the message is too large for the transport'],
  ETERM: ['NARU_CLOSED', 'the context of ZeroMQ has ended with this process'],
  EBADF: ['NARU_CLOSED', 'the socket is closed'],
  ENOTSOCK: ['NARU_CLOSED', 'the socket is closed'],
};

/** Why a call of libzmq failed. What is not in the table keeps its text. */
export function zmqError(error: unknown, mailbox: string, place: string): NaruError {
  if (error instanceof NaruError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const [ours, what] = Object.hasOwn(MEANINGS, code)
    ? (MEANINGS[code] as readonly [NaruErrorCode, string])
    : (['NARU_DISCONNECTED', message] as const);
  return new NaruError(ours, `${mailbox}: ${what} (${code === '' ? 'libzmq' : code})`, {
    place,
    mailbox,
    cause: error,
  });
}

/** The name of the system's or libzmq's error; '' when it has none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}
