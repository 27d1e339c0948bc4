import type { HasherFactory } from './hasher.js';
import { verifyHasherFactory } from './hasher-verification.js';
import { OpensslHasherFactory } from './openssl-hasher.factory.js';
import { WasmHasherFactory } from './wasm-hasher.factory.js';

/** How to load the implementations; tests pass others. */
export interface HasherImplementations {
  readonly openssl: () => Promise<HasherFactory>;
  readonly wasm: () => Promise<HasherFactory>;
}

const IMPLEMENTATIONS: HasherImplementations = {
  openssl: () => OpensslHasherFactory.load(),
  wasm: () => WasmHasherFactory.load(),
};

/**
 * Chooses the implementation for this process: OpenSSL if it can be called and passes its self-test, else
 * WebAssembly, with one warning. Both are verified first (see {@link verifyHasherFactory}), which takes some
 * 10 ms.
 *
 * @param log gets one sentence if the slow implementation is chosen.
 * @throws Error if neither works: Berth can't run here.
 */
export async function createHasherFactory(
  log: (warning: string) => void,
  implementations: HasherImplementations = IMPLEMENTATIONS,
): Promise<HasherFactory> {
  let refused: unknown;
  try {
    return await verified(implementations.openssl);
  } catch (error) {
    refused = error;
  }
  let fallback: HasherFactory;
  try {
    fallback = await verified(implementations.wasm);
  } catch (error) {
    const both = new AggregateError([refused, error], 'OpenSSL and WebAssembly failed, in this order');
    throw new Error('no implementation of the hash functions works here', { cause: both });
  }
  log(`Layers are hashed in WebAssembly, 5 to 7 times slower. OpenSSL can't be used: ${reasonOf(refused)}`);
  return fallback;
}

async function verified(load: () => Promise<HasherFactory>): Promise<HasherFactory> {
  const factory = await load();
  await verifyHasherFactory(factory);
  return factory;
}

/** The first line. A native loader can report many. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1).join('');
}
