// Logging in: the two mechanisms PLAIN and AMQPLAIN, and who may come from where.

import { decodeTable, type FieldTable } from '../wire/amqp091/index.ts';
import type { PeerAddress } from './connection/connection.ts';
import type { User, Users } from './users.ts';

export const MECHANISMS = 'PLAIN AMQPLAIN';
/** The user that every new broker has; from this machine only, as its password is known. */
export const GUEST = 'guest';

interface Credentials {
  readonly name: string;
  readonly password: Uint8Array;
}

/** @returns the user; undefined when the login is refused, whatever the reason */
export function authenticate(
  users: Users,
  mechanism: string,
  response: Uint8Array,
  peer: PeerAddress,
): User | undefined {
  const credentials = readCredentials(mechanism, Buffer.from(response));
  if (credentials === undefined) return undefined;
  const user = users.logIn(credentials.name, credentials.password);
  return user?.name === GUEST && !peer.isLocal ? undefined : user;
}

function readCredentials(mechanism: string, response: Buffer): Credentials | undefined {
  try {
    if (mechanism === 'PLAIN') return plain(response);
    if (mechanism === 'AMQPLAIN') return amqplain(decodeTable(response, 0, response.length));
  } catch {
    // What cannot be read is no password.
  }
  return undefined;
}

/** RFC 4616: identity, NUL, name, NUL, password. */
function plain(response: Buffer): Credentials | undefined {
  const first = response.indexOf(0);
  const second = response.indexOf(0, first + 1);
  if (first < 0 || second < 0) return undefined;
  return { name: response.toString('utf8', first + 1, second), password: response.subarray(second + 1) };
}

function amqplain(table: FieldTable): Credentials | undefined {
  const name = table['LOGIN'];
  const password = table['PASSWORD'];
  if (name?.type !== 'S' || typeof name.value !== 'string' || password?.type !== 'S') return undefined;
  return { name: name.value, password: Buffer.from(password.value as string) };
}
