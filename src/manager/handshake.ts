// Both sides prove that they know the key before anything else is read: the messages and their proofs, as bytes. The client proves first, so
// that nobody can have the server prove anything without knowing the key. No sockets here (greeting.ts).
//
//   client → hello      "NARU-MGR" · version · digest's name · 32 random bytes
//   server → challenge  "NARU-MGR" · version · digest's name · 32 random bytes
//   client → proof      HMAC(key, "naru manager client" · 0 · hello · challenge)
//   server → proof      HMAC(key, "naru manager server" · 0 · hello · challenge · client's proof)
//
// The role stands first in what is proved, so a proof that is sent back is none; both nonces and both digest's names are in it, so neither an
// older conversation nor a changed message passes.

import { createHmac, timingSafeEqual } from 'node:crypto';

export const NONCE_BYTES = 32;
const PROOF_BYTES = 32;
const MAGIC = Buffer.from('NARU-MGR', 'latin1');
const VERSION = 1;
const DIGEST = 'sha256';
const DIGEST_NAME = Buffer.from(DIGEST, 'latin1');
/** Hello and challenge have this very length. */
const OPENING_BYTES: number = MAGIC.length + 2 + DIGEST_NAME.length + NONCE_BYTES;

/** Why a server refuses; the only thing it says without a proof. */
export const Refusal = { proof: 1, version: 2, full: 3 } as const;
const REFUSAL = Buffer.from('NARU-NO', 'latin1');

type Role = 'client' | 'server';

/** Hello and challenge look alike. @param nonce  NONCE_BYTES of randomness, never used before */
export function encodeOpening(nonce: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, Uint8Array.of(VERSION, DIGEST_NAME.length), DIGEST_NAME, nonce]);
}

/** What is wrong with an opening: `undefined` nothing, `version` another version of Naru, `strange` something else altogether. */
export function checkOpening(message: Buffer): 'version' | 'strange' | undefined {
  if (message.length < MAGIC.length + 1 || !message.subarray(0, MAGIC.length).equals(MAGIC)) return 'strange';
  const expected = encodeOpening(message.subarray(-NONCE_BYTES));
  return message.length === OPENING_BYTES && message.equals(expected) ? undefined : 'version';
}

/** @param heard  every message so far, in order */
export function prove(role: Role, key: string, heard: readonly Uint8Array[]): Buffer {
  const mac = createHmac(DIGEST, key).update(`naru manager ${role}\0`, 'latin1');
  for (const message of heard) mac.update(message);
  return mac.digest();
}

/** In constant time. */
export function isProof(message: Buffer, role: Role, key: string, heard: readonly Uint8Array[]): boolean {
  return message.length === PROOF_BYTES && timingSafeEqual(message, prove(role, key, heard));
}

export function encodeRefusal(reason: number): Buffer {
  return Buffer.concat([REFUSAL, Uint8Array.of(reason)]);
}

/** @returns the reason; undefined when it is no refusal */
export function readRefusal(message: Buffer): number | undefined {
  const isOne = message.length === REFUSAL.length + 1 && message.subarray(0, REFUSAL.length).equals(REFUSAL);
  return isOne ? message[REFUSAL.length] : undefined;
}
