// Health checks: each looks at something real and fails with what it found. RabbitMQ's paths and answers.

import { fromPlain } from '../../plain-table.ts';
import { readPolicy } from '../../queue/arguments.ts';
import { badRequest, HttpError } from './http-error.ts';
import { publishMessage } from './messages.ts';
import { get, LOOK, placeOf, type Api, type JsonObject, type Route } from './route.ts';
import { NODE } from './views.ts';

const ALIVENESS_QUEUE = 'aliveness-test';
const OK: JsonObject = { status: 'ok' };

/** What a check found wrong; nothing: it is well. */
type Check = (api: Api) => { readonly reason: string; readonly more?: JsonObject } | undefined;

const alarms: Check = ({ core: { blocked } }) => {
  if (blocked === undefined) return undefined;
  return { reason: `There are alarms: ${blocked}`, more: { alarms: [{ node: NODE, resource: blocked }] } };
};

const portListener: Check = ({ listener, values: [port = ''] }) => {
  if (!/^\d+$/.test(port)) throw badRequest(`the port ${JSON.stringify(port)} is no number`);
  const ports = listener.endpoints.map((endpoint) => endpoint.port).filter((one) => one !== 0);
  if (ports.includes(Number(port))) return undefined;
  return { reason: 'No active listener', more: { missing: Number(port), ports } };
};

const protocolListener: Check = ({ listener, values: [protocol = ''] }) => {
  const protocols = [...new Set(listener.endpoints.map((endpoint) => endpoint.protocol))];
  const wanted = PROTOCOLS[protocol.toLowerCase()] ?? protocol;
  if (protocols.includes(wanted)) return undefined;
  return { reason: 'No active listener', more: { missing: protocol, protocols } };
};

/** Other names under which tools ask for a protocol. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  amqp091: 'amqp',
  'amqp0.9.1': 'amqp',
  amqps: 'amqp/ssl',
  'amqp-tls': 'amqp/ssl',
};

/** Each virtual host is there with the exchanges that it always has. */
const virtualHosts: Check = ({ core }) => {
  const broken = Array.from(core.vhosts.values()).filter((place) => place.exchange('') === undefined);
  if (core.vhosts.size > 0 && broken.length === 0) return undefined;
  const reason = 'Some virtual hosts are down';
  return { reason, more: { 'virtual-hosts': broken.map(({ name }) => name) } };
};

/** What is durable can be written, and what was written can be read. */
const storage: Check = ({ core: { store, quarantined } }) => {
  const reason =
    store?.failure !== undefined
      ? `Storage has stopped: ${store.failure.message}`
      : quarantined.length > 0
        ? 'Some queues are quarantined: their messages are damaged'
        : store?.isFull === true
          ? 'The disk is full'
          : undefined;
  if (reason === undefined) return undefined;
  return { reason, more: { queues: quarantined.map(({ vhost, name }) => ({ vhost, name })) } };
};

/** It listens somewhere and there is room for one more client. */
const inService: Check = ({ listener }) => {
  if (listener.endpoints.length === 0) return { reason: 'The broker does not listen' };
  const { connections } = listener.budget;
  return listener.sessions.size < connections
    ? undefined
    : { reason: `All ${connections} connections are in use` };
};

const CHECKS: Readonly<Record<string, Check>> = {
  alarms,
  'local-alarms': alarms,
  'port-listener/*': portListener,
  'protocol-listener/*': protocolListener,
  'virtual-hosts': virtualHosts,
  storage,
  'is-in-service': inService,
  'ready-to-serve-clients': inService,
  // There is one node: it is critical for no quorum.
  'node-is-quorum-critical': () => undefined,
};

export const HEALTH_ROUTES: readonly Route[] = Object.entries(CHECKS).map(([path, check]) =>
  get(`health/checks/${path}`, LOOK, (api) => {
    const problem = check(api);
    if (problem === undefined) return OK;
    throw new HttpError(503, problem.reason, { status: 'failed', ...problem.more });
  }),
);

/** Publishes a message to a queue of its own and takes it off again, as RabbitMQ does. */
export function aliveness(api: Api): JsonObject {
  const { core } = api;
  const place = placeOf(api);
  const args = fromPlain({});
  const queue =
    place.queue(ALIVENESS_QUEUE) ??
    place.addQueue({
      name: ALIVENESS_QUEUE,
      vhost: place.name,
      durable: false,
      autoDelete: false,
      owner: undefined,
      args,
      policy: readPolicy(args, ALIVENESS_QUEUE, place.name),
    });
  const exchange = place.exchange('');
  if (exchange === undefined) throw new HttpError(503, 'the default exchange is not there');
  publishMessage(core, place, exchange, { routing_key: queue.name, payload: 'test', properties: {} });
  const entry = queue.get(true);
  if (entry === undefined) throw new HttpError(503, 'the message did not come back');
  core.messages.release(entry.slot);
  return OK;
}
