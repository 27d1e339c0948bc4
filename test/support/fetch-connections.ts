import { nodeGlobal } from './node-global.js';

/** Where undici, which is Node's `fetch`, keeps its connections. */
const POOL = Symbol.for('undici.globalDispatcher.1');

interface Pool {
  readonly constructor: new () => Pool;
  close(): Promise<void>;
}

/** Closes the idle connections that `fetch` keeps for later requests of this process. */
export async function closeFetchConnections(): Promise<void> {
  const pool = Reflect.get(nodeGlobal, POOL) as Pool | undefined;
  if (pool === undefined) return;
  Reflect.set(nodeGlobal, POOL, new pool.constructor());
  await pool.close();
}
