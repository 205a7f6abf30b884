// From an empty start to the first message that was published and came back.

import { Broker } from 'naru/broker';
import { firstMessage, start, stop } from './running.ts';

export async function startAsProcess(): Promise<number> {
  const since = performance.now();
  const running = await start();
  const client = await firstMessage(running.port);
  const ms = performance.now() - since;
  client.close();
  await stop(running);
  return ms;
}

export async function startEmbedded(): Promise<number> {
  const since = performance.now();
  const broker = await Broker.start({ port: 0 });
  const client = await firstMessage(broker.port);
  const ms = performance.now() - since;
  client.close();
  await broker.stop();
  return ms;
}

export async function repeated(times: number, measure: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i += 1) all.push(await measure());
  return all;
}
