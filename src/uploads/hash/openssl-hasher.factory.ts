import type { DigestAlgorithm } from '../../oci/digest.js';
import type { Hasher, HasherFactory, Midstate } from './hasher.js';
import { parseMidstate } from './midstate.js';
import { OpensslHasher } from './openssl-hasher.js';
import { loadOpensslLibrary, type OpensslLibrary } from './openssl-library.js';

/** Hashers that call node's own OpenSSL. */
export class OpensslHasherFactory implements HasherFactory {
  readonly implementation = 'openssl';

  private constructor(private readonly openssl: OpensslLibrary) {}

  /** @throws Error if the library can't be called; see {@link loadOpensslLibrary}, also for the parameter. */
  static async load(...loader: Parameters<typeof loadOpensslLibrary>): Promise<OpensslHasherFactory> {
    return new OpensslHasherFactory(await loadOpensslLibrary(...loader));
  }

  create(algorithm: DigestAlgorithm): Hasher {
    return new OpensslHasher(algorithm, this.openssl[algorithm]);
  }

  resume(midstate: Midstate): Hasher {
    const valid = parseMidstate(midstate);
    return new OpensslHasher(valid.algorithm, this.openssl[valid.algorithm], valid);
  }
}
