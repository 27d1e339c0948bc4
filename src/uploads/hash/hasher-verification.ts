import { createHash } from 'node:crypto';
import { DIGEST_ALGORITHMS, formatDigest, type DigestAlgorithm } from '../../oci/digest.js';
import type { Hasher, HasherFactory } from './hasher.js';
import { deserializeMidstate, HASH_PARAMETERS, initialMidstate, serializeMidstate } from './midstate.js';
import { ASYNC_THRESHOLD_BYTES } from './openssl-hasher.js';
import { SLICE_BYTES } from './wasm-hasher.js';

const GIB = 1024 ** 3;

/** Above every implementation's threshold for the thread pool, and not a multiple of a block. */
const LONG_BYTES = 2 * Math.max(ASYNC_THRESHOLD_BYTES, SLICE_BYTES) + 17;

/**
 * The expected results for {@link pattern}. node:crypto has no midstates, and saving and resuming could share
 * an error, so they were computed by an implementation of FIPS 180-4 (test/support/sha2-reference.ts; a test
 * compares them).
 */
export const KNOWN: Record<DigestAlgorithm, { readonly words: string; readonly farDigest: string }> = {
  sha256: {
    words: 'a858fd187c80f7deadaeef9a17ea07e23dad94dfac6f147ffb78164130a1ac8c',
    farDigest: '9690da5e73a10b2fef231c7002ad55eeae6e382ed83006b769b2103f93db1258',
  },
  sha512: {
    words:
      '8e0550ec2aa029e42b50b050ba80ce559865a5bc2a50f7457bd3c7ed514f3e43' +
      '333434e76007534c78fad12aa15580cc583818f14ff435108cc12fb376f546d0',
    farDigest:
      'a391418f0a2a0f0c070a2e70ba58a8fd30b927b85329add1d6ff6d62f27be1d4' +
      '0192f5befe7410a19925abf2949a3bbdb5e1cf70889e2f647b33dbaf3f8ea43f',
  },
};

/** The length of the far midstate: more than 2^32 bytes, with a partial block. */
export const FAR_BYTES = 5 * GIB + 17;

/** The input of the test vectors. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) {
    bytes[i] = (i * 31 + (i >> 8)) % 256;
  }
  return bytes;
}

/**
 * The self-test at boot. For every algorithm it compares a factory with node:crypto (a chunk for the thread
 * pool, saved and resumed within a block) and with the known midstates (one near the start, one after 4 GiB).
 * An implementation that passes accesses the right memory; all splits and lengths are tested by
 * `hasher.contract.ts`.
 *
 * @throws Error that names the first difference.
 */
export async function verifyHasherFactory(factory: HasherFactory): Promise<void> {
  for (const algorithm of DIGEST_ALGORITHMS) {
    const { blockBytes } = HASH_PARAMETERS[algorithm];
    await verifySplit(factory, algorithm, pattern(LONG_BYTES), blockBytes + 7);
    await verifyKnownMidstate(factory, algorithm);
    await verifyFarMidstate(factory, algorithm);
  }
}

async function verifySplit(
  factory: HasherFactory,
  algorithm: DigestAlgorithm,
  message: Buffer,
  split: number,
): Promise<void> {
  const expected = formatDigest(algorithm, createHash(algorithm).update(message).digest());
  await withHasher(factory.create(algorithm), async (first) => {
    await first.update(message.subarray(0, split));
    const saved = deserializeMidstate(serializeMidstate(first.midstate()));
    await withHasher(factory.resume(saved), async (second) => {
      for (const hasher of [first, second]) {
        await hasher.update(message.subarray(split));
        expectEqual(hasher.digest(), expected, `${algorithm} of ${message.length} bytes`);
        expectEqual(hasher.digest(), expected, `${algorithm}, digest computed again`);
      }
    });
  });
}

async function verifyKnownMidstate(factory: HasherFactory, algorithm: DigestAlgorithm): Promise<void> {
  const { blockBytes } = HASH_PARAMETERS[algorithm];
  const message = pattern(blockBytes + 5);
  await withHasher(factory.create(algorithm), async (hasher) => {
    const start = serializeMidstate(hasher.midstate());
    expectEqual(start, serializeMidstate(initialMidstate(algorithm)), `the first midstate of ${algorithm}`);
    await hasher.update(message);
    const expected = serializeMidstate({
      algorithm,
      words: KNOWN[algorithm].words,
      lengthBytes: message.length,
      partialBlock: message.subarray(blockBytes).toString('base64'),
    });
    expectEqual(serializeMidstate(hasher.midstate()), expected, `the midstate of ${algorithm}`);
  });
}

async function verifyFarMidstate(factory: HasherFactory, algorithm: DigestAlgorithm): Promise<void> {
  const { words, farDigest } = KNOWN[algorithm];
  const partialBlock = pattern(17).toString('base64');
  const far = { algorithm, words, lengthBytes: FAR_BYTES, partialBlock };
  await withHasher(factory.resume(far), async (hasher) => {
    expectEqual(
      serializeMidstate(hasher.midstate()),
      serializeMidstate(far),
      `a far midstate of ${algorithm}`,
    );
    await hasher.update(pattern(3));
    expectEqual(hasher.midstate().lengthBytes, FAR_BYTES + 3, `the far length of ${algorithm}`);
    expectEqual(hasher.digest(), `${algorithm}:${farDigest}`, `${algorithm} after 4 GiB`);
  });
}

async function withHasher(hasher: Hasher, work: (hasher: Hasher) => Promise<void>): Promise<void> {
  try {
    await work(hasher);
  } finally {
    hasher.dispose();
  }
}

function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) {
    throw new Error(`its self-test failed at ${what}`);
  }
}
