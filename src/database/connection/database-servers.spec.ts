import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import type pg from 'pg';
import { DatabaseServers } from './database-servers.js';

/** A connection to a server that started then. */
function connectionTo(startedAt: string, isReadOnly = false) {
  const state = { isEnding: false, isDestroyed: false };
  const client = Object.assign(new EventEmitter(), {
    query: () => Promise.resolve({ rows: [{ isReadOnly, startedAt }] }),
    end: () => Promise.resolve(void (state.isEnding = true)),
    connection: { stream: { destroy: () => void (state.isDestroyed = true) } },
  });
  return { client: client as unknown as pg.Client, state };
}

it('closes the connections to a server that another one has replaced', async () => {
  const servers = DatabaseServers.of('postgres://moving/db');
  const server = await servers.choose();
  const [first, second, third] = [connectionTo('1'), connectionTo('1'), connectionTo('2')];
  await servers.accept(first.client, server);
  await servers.accept(second.client, server);
  expect(first.state).toEqual({ isEnding: false, isDestroyed: false });
  second.client.emit('end');
  await servers.accept(third.client, server);
  expect(first.state).toEqual({ isEnding: true, isDestroyed: true });
  // This one had ended already.
  expect(second.state).toEqual({ isEnding: false, isDestroyed: false });
  expect(third.state).toEqual({ isEnding: false, isDestroyed: false });
});

it('refuses a connection to a server that takes no writes, and keeps the others', async () => {
  const servers = DatabaseServers.of('postgres://demoted/db');
  const server = await servers.choose();
  const first = connectionTo('1');
  await servers.accept(first.client, server);
  await expect(servers.accept(connectionTo('2', true).client, server)).rejects.toThrow(
    'demoted:5432 takes no writes',
  );
  expect(first.state.isDestroyed).toBe(false);
});
