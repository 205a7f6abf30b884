// Class exchange: declare, delete, bind and unbind exchanges to exchanges.

import {
  METHOD,
  readExchangeBind,
  readExchangeDeclare,
  readExchangeDelete,
  readExchangeUnbind,
  writeExchangeBindOk,
  writeExchangeDeclareOk,
  writeExchangeDeleteOk,
  writeExchangeUnbindOk,
  type ExchangeDeclare,
  type Reader,
} from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';
import { checkSameExchange } from '../declared.ts';
import { EXCHANGE_TYPES } from '../exchange/exchange.ts';
import { accessRefused, preconditionFailed, Refusal, resource } from '../refusal.ts';
import type { Handlers } from './handler.ts';
import { checkNotDefault, checkNotReserved, cleanName, findExchange } from './names.ts';

function declare(channel: Channel, reader: Reader): void {
  const request = readExchangeDeclare(reader);
  const name = cleanName(request.exchange);
  if (request.passive) {
    checkNotDefault(name);
    findExchange(channel, name);
  } else declareActively(channel, request, name);
  if (request.nowait) return;
  channel.answerSafely(!request.passive && request.durable, () =>
    writeExchangeDeclareOk(channel.connection.output, channel.number),
  );
}

function declareActively(channel: Channel, request: ExchangeDeclare, name: string): void {
  const { connection } = channel;
  if (!EXCHANGE_TYPES.includes(request.type))
    throw new Refusal(406, `unknown exchange type '${request.type}'`);
  checkNotDefault(name);
  connection.check('configure', 'exchange', name);
  const existing = connection.place.exchange(name);
  if (existing !== undefined) {
    checkSameExchange(existing, request);
    return;
  }
  checkNotReserved('exchange', name);
  const alternate = request.args['alternate-exchange'];
  if (alternate?.type === 'S') {
    connection.check('read', 'exchange', name);
    connection.check('write', 'exchange', String(alternate.value));
  }
  const { type, durable, autoDelete, internal, args } = request;
  connection.place.addExchange({
    name,
    vhost: connection.place.name,
    type,
    durable,
    autoDelete,
    internal,
    args,
  });
}

function remove(channel: Channel, reader: Reader): void {
  const request = readExchangeDelete(reader);
  const { connection } = channel;
  const { place } = connection;
  const name = cleanName(request.exchange);
  checkNotDefault(name);
  if (name.startsWith('amq.')) {
    throw accessRefused(`deletion of system ${resource('exchange', name, place.name)} not allowed`);
  }
  connection.check('configure', 'exchange', name);
  const exchange = place.exchange(name);
  if (exchange !== undefined) {
    if (request.ifUnused && exchange.bindings.size > 0) {
      throw preconditionFailed(`${resource('exchange', name, place.name)} in use`);
    }
    place.deleteExchange(exchange);
  }
  if (request.nowait) return;
  channel.answerSafely(exchange?.durable === true, () =>
    writeExchangeDeleteOk(connection.output, channel.number),
  );
}

function bind(channel: Channel, reader: Reader): void {
  const request = readExchangeBind(reader);
  const { connection } = channel;
  const [from, to] = [cleanName(request.source), cleanName(request.destination)];
  checkNotDefault(from);
  checkNotDefault(to);
  connection.check('write', 'exchange', to);
  connection.check('read', 'exchange', from);
  const source = findExchange(channel, from);
  const destination = findExchange(channel, to);
  connection.place.bind(source, destination, request.routingKey, request.args);
  if (request.nowait) return;
  channel.answerSafely(source.durable && destination.durable, () =>
    writeExchangeBindOk(connection.output, channel.number),
  );
}

function unbind(channel: Channel, reader: Reader): void {
  const request = readExchangeUnbind(reader);
  const { connection } = channel;
  const [from, to] = [cleanName(request.source), cleanName(request.destination)];
  checkNotDefault(from);
  checkNotDefault(to);
  connection.check('write', 'exchange', to);
  connection.check('read', 'exchange', from);
  const source = connection.place.exchange(from);
  const destination = connection.place.exchange(to);
  if (source !== undefined && destination !== undefined) {
    connection.place.unbind(source, destination, request.routingKey, request.args);
  }
  if (request.nowait) return;
  channel.answerSafely(source?.durable === true && destination?.durable === true, () =>
    writeExchangeUnbindOk(connection.output, channel.number),
  );
}

export const exchangeMethods: Handlers = [
  [METHOD.exchangeDeclare, declare],
  [METHOD.exchangeDelete, remove],
  [METHOD.exchangeBind, bind],
  [METHOD.exchangeUnbind, unbind],
];
