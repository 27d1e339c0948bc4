import { getFips } from 'node:crypto';
import { DIGEST_ALGORITHMS, type DigestAlgorithm } from '../../oci/digest.js';

/** What Berth uses of `koffi`, so that tests can hand in another. */
export interface ForeignFunctions {
  load(path: string | null): {
    func(name: string, result: string, parameters: string[]): ForeignFunction;
  };
}

/** One foreign function. `async` takes a callback as its last argument and throws at once when its queue is full. */
export interface ForeignFunction {
  (...values: unknown[]): unknown;
  async: (...values: unknown[]) => unknown;
}

/** `SHA256_*` or `SHA512_*` of `openssl/sha.h`; each answers 1 for success. */
export interface OpensslHash {
  readonly init: ForeignFunction;
  readonly update: ForeignFunction;
  readonly final: ForeignFunction;
}

export type OpensslLibrary = Record<DigestAlgorithm, OpensslHash>;

/**
 * Finds OpenSSL's low-level hash functions in this process: node exports its own OpenSSL, or has loaded the system's.
 *
 * @throws Error when koffi has no build for this platform or the symbols are missing.
 */
export async function loadOpensslLibrary(
  importKoffi: () => Promise<ForeignFunctions> = importRealKoffi,
): Promise<OpensslLibrary> {
  // A FIPS module before OpenSSL 3 may abort the process on a low-level call; since 3 these functions know no FIPS mode.
  if (getFips() === 1 && Number.parseInt(process.versions.openssl, 10) < 3) {
    throw new Error('OpenSSL before 3 in FIPS mode forbids its low-level functions');
  }
  const koffi = await importKoffi();
  const failures: unknown[] = [];
  // Null is the global symbol scope of the process; where a platform has none, the executable itself is asked.
  for (const path of [null, process.execPath]) {
    try {
      return bind(koffi.load(path));
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

function bind(library: ReturnType<ForeignFunctions['load']>): OpensslLibrary {
  const [sha256, sha512] = DIGEST_ALGORITHMS.map((algorithm) => {
    const prefix = algorithm.toUpperCase();
    return {
      init: library.func(`${prefix}_Init`, 'int', ['void *']),
      update: library.func(`${prefix}_Update`, 'int', ['void *', 'const void *', 'size_t']),
      final: library.func(`${prefix}_Final`, 'int', ['void *', 'void *']),
    };
  });
  return { sha256, sha512 } as OpensslLibrary;
}

async function importRealKoffi(): Promise<ForeignFunctions> {
  // Dynamic: the import itself throws where koffi has no native build, and then Berth goes on without it.
  return (await import('koffi')).default;
}
