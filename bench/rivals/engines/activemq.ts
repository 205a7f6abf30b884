// activemq:// against rhea on ActiveMQ Artemis.

import { load } from '../../harness/optional-package.ts';
import { artemis } from '#naru/engines/artemis.fixture';
import type { EngineFlow, Flow, Served } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const PREFETCH = 256;
const QUEUE = 'bench';

interface Emitter {
  on(event: string, listener: (context: { readonly message: { readonly body: Body } }) => void): void;
  once(event: string, listener: () => void): void;
}

/** One section of data. */
interface Body {
  readonly content: Uint8Array;
}

interface Sender extends Emitter {
  sendable(): boolean;
  send(message: object): void;
}

interface RheaPackage {
  readonly default: {
    create_container(): {
      connect(options: object): Emitter & {
        open_sender(options: object): Sender;
        open_receiver(options: object): Emitter;
        close(): void;
      };
    };
    readonly message: { data_section(body: Uint8Array): unknown };
  };
}

async function client({ url }: Served): Promise<Flow> {
  const { default: rhea } = (await load('rhea')) as RheaPackage;
  const { hostname: host, port, username, password } = new URL(url);
  const options = { host, port: Number(port), username, password, reconnect: false, tcp_no_delay: true };
  const connection = rhea.create_container().connect(options);
  const sender = connection.open_sender({ target: { address: QUEUE, capabilities: ['queue'] } });
  const receiver = connection.open_receiver({
    source: { address: QUEUE, capabilities: ['queue'] },
    credit_window: PREFETCH,
  });
  let listener: (body: Uint8Array) => void = () => undefined;
  receiver.on('message', ({ message }) => listener(message.body.content));
  let missing = 0;
  let confirmed: () => void = () => undefined;
  sender.on('accepted', () => {
    missing -= 1;
    if (missing === 0) confirmed();
  });
  await new Promise<void>((resolve) => sender.once('sendable', resolve));
  return {
    async send(bodies) {
      missing = bodies.length;
      const done = new Promise<void>((resolve) => {
        confirmed = resolve;
      });
      for (const body of bodies) {
        while (!sender.sendable()) await new Promise<void>((resolve) => sender.once('sendable', resolve));
        sender.send({ body: rhea.message.data_section(body), durable: true });
      }
      await done;
    },
    onMessage: (heard) => {
      listener = heard;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => connection.once('connection_close', resolve));
      connection.close();
      await closed;
    },
  };
}

export const activemq: EngineFlow = {
  engine: artemis,
  place: 'activemq',
  note: `A durable queue of Artemis that syncs its journal, durable messages, each accepted by the server, credit for ${PREFETCH}, every message acked.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru activemq://',
      open: ({ url }) => mailboxFlow(`${url}?queue=${QUEUE}&prefetch=${PREFETCH}`),
    },
    { who: 'client', label: 'rhea', open: client },
  ],
};
