import { getFips } from 'node:crypto';
import { DIGEST_ALGORITHMS, type DigestAlgorithm } from '../../oci/digest.js';

/** The part of `koffi` that Berth uses; tests pass another. */
export interface ForeignFunctions {
  load(path: string | null): {
    func(name: string, result: string, parameters: string[]): ForeignFunction;
  };
}

/**
 * A foreign function. `async` takes a callback as its last argument and throws at once if its queue is full.
 */
export interface ForeignFunction {
  (...values: unknown[]): unknown;
  async: (...values: unknown[]) => unknown;
}

/** `SHA256_*` or `SHA512_*` of `openssl/sha.h`; each returns 1 for success. */
export interface OpensslHash {
  readonly init: ForeignFunction;
  readonly update: ForeignFunction;
  readonly final: ForeignFunction;
}

export type OpensslLibrary = Record<DigestAlgorithm, OpensslHash>;

/**
 * Finds OpenSSL's low-level hash functions in this process: Node exports its own OpenSSL, or has loaded the
 * system's.
 *
 * @throws Error if koffi has no build for this platform or the symbols are missing.
 */
export async function loadOpensslLibrary(
  importKoffi: () => Promise<ForeignFunctions> = importRealKoffi,
): Promise<OpensslLibrary> {
  // Before OpenSSL 3, a FIPS module can abort the process on a low-level call. Since 3, these functions
  // ignore FIPS mode.
  if (getFips() === 1 && Number.parseInt(process.versions.openssl, 10) < 3) {
    throw new Error('OpenSSL before 3 in FIPS mode forbids its low-level functions');
  }
  const koffi = await importKoffi();
  const failures: unknown[] = [];
  // Null is the global symbol scope of the process. A platform without it finds the symbols in the
  // executable.
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
  // Dynamic: the import throws if koffi has no native build, and Berth then works without it.
  return (await import('koffi')).default;
}
