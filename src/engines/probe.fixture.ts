// Asks a port one question in plain text: whether an engine is ready is told by its answer, not by its port being open.

import { connect } from 'node:net';

/** Sends `question` and returns what came back first; rejects when nobody listens or nothing came within a second. */
export function ask(port: number, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('connect', () => socket.write(question));
    socket.once('close', () => reject(new Error('closed')));
    socket.once('data', (data) => {
      resolve(data.toString('latin1'));
      socket.destroy();
    });
  });
}
