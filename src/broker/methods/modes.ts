// The modes of a channel: classes confirm and tx. A channel is in one of them at most.

import {
  METHOD,
  readConfirmSelect,
  writeConfirmSelectOk,
  writeTxCommitOk,
  writeTxRollbackOk,
  writeTxSelectOk,
  type Reader,
} from '../../wire/amqp091/index.ts';
import { Confirms } from '../connection/confirms.ts';
import type { Channel, Transaction } from '../connection/channel.ts';
import { preconditionFailed, Refusal } from '../refusal.ts';
import type { Handlers } from './handler.ts';
import { send } from './publish.ts';

function confirmSelect(channel: Channel, reader: Reader): void {
  const { nowait } = readConfirmSelect(reader);
  if (channel.transaction !== undefined) throw preconditionFailed('cannot switch from tx to confirm mode');
  channel.confirms ??= new Confirms();
  if (!nowait) writeConfirmSelectOk(channel.connection.output, channel.number);
}

function txSelect(channel: Channel): void {
  if (channel.confirms !== undefined) throw preconditionFailed('cannot switch from confirm to tx mode');
  channel.transaction ??= newTransaction();
  writeTxSelectOk(channel.connection.output, channel.number);
}

/** After a crash everything that a transaction published and settled is done, or nothing of it. */
function txCommit(channel: Channel): void {
  const { publications, settles } = current(channel);
  const { store } = channel.connection.core;
  checkRoom(channel);
  channel.transaction = undefined;
  const commit = (): void => {
    for (const publication of publications) send(channel, publication);
    for (const settle of settles) settle();
  };
  if (store === undefined) commit();
  else if (!store.atomically(commit)) throw new Refusal(506, 'the disk has no room for the transaction');
  channel.transaction = newTransaction();
  const hasWork = publications.length > 0 || settles.length > 0;
  channel.answerSafely(hasWork, () => writeTxCommitOk(channel.connection.output, channel.number));
}

/** @throws Refusal 406  too much waits for the disk: nothing was done */
function checkRoom(channel: Channel): void {
  const { publications } = current(channel);
  const { store, messages } = channel.connection.core;
  if (store === undefined) return;
  let bytes = 0;
  for (const { slot } of publications) if (messages.persistent(slot)) bytes += messages.content(slot).length;
  if (bytes <= store.roomBytes) return;
  throw preconditionFailed(`the disk has no room for a transaction of ${bytes} bytes`);
}

/** What was published is forgotten; what was settled is unsettled again, not redelivered. */
function txRollback(channel: Channel): void {
  const { messages } = channel.connection.core;
  for (const { slot } of current(channel).publications) messages.release(slot);
  channel.transaction = newTransaction();
  writeTxRollbackOk(channel.connection.output, channel.number);
}

function current(channel: Channel): Transaction {
  if (channel.transaction === undefined) throw preconditionFailed('channel is not transactional');
  return channel.transaction;
}

function newTransaction(): Transaction {
  return { publications: [], settles: [], tags: new Set(), settledUntil: 0 };
}

export const modeMethods: Handlers = [
  [METHOD.confirmSelect, confirmSelect],
  [METHOD.txSelect, txSelect],
  [METHOD.txCommit, txCommit],
  [METHOD.txRollback, txRollback],
];
