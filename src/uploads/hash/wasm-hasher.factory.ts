import type { IHasher } from 'hash-wasm';
import { DIGEST_ALGORITHMS, type DigestAlgorithm } from '../../oci/digest.js';
import type { Hasher, HasherFactory, Midstate } from './hasher.js';
import { parseMidstate } from './midstate.js';
import { WasmHasher } from './wasm-hasher.js';
import { SAVED_BYTES, writeSaved } from './wasm-state.js';

type Engines = Record<DigestAlgorithm, IHasher>;

/** Hashers in WebAssembly: slower than OpenSSL's, and on the event loop, but they work everywhere. */
export class WasmHasherFactory implements HasherFactory {
  readonly implementation = 'wasm';

  private constructor(
    private readonly engines: Engines,
    private readonly initial: Record<DigestAlgorithm, Uint8Array>,
  ) {}

  /** @throws Error if this hash-wasm saves its state in an unknown layout. */
  static async load(importEngines: () => Promise<Engines> = importRealEngines): Promise<WasmHasherFactory> {
    const engines = await importEngines();
    const initial = { sha256: engines.sha256.init().save(), sha512: engines.sha512.init().save() };
    if (DIGEST_ALGORITHMS.some((algorithm) => initial[algorithm].byteLength !== SAVED_BYTES[algorithm])) {
      throw new Error('hash-wasm saves its state in an unknown layout');
    }
    return new WasmHasherFactory(engines, initial);
  }

  create(algorithm: DigestAlgorithm): Hasher {
    return new WasmHasher(algorithm, this.engines[algorithm], this.initial[algorithm]);
  }

  resume(midstate: Midstate): Hasher {
    const valid = parseMidstate(midstate);
    const saved = writeSaved(valid, this.initial[valid.algorithm]);
    return new WasmHasher(valid.algorithm, this.engines[valid.algorithm], saved);
  }
}

async function importRealEngines(): Promise<Engines> {
  const { createSHA256, createSHA512 } = await import('hash-wasm');
  const [sha256, sha512] = await Promise.all([createSHA256(), createSHA512()]);
  return { sha256, sha512 };
}
