import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash, randomBytes } from 'node:crypto';
import { DIGEST_ALGORITHMS, digestOf, type DigestAlgorithm } from '../../src/oci/digest.js';
import type { Hasher, HasherFactory, Midstate } from '../../src/uploads/hash/hasher.js';
import { ASYNC_THRESHOLD_BYTES } from '../../src/uploads/hash/openssl-hasher.js';
import { verifyHasherFactory } from '../../src/uploads/hash/hasher-verification.js';
import {
  deserializeMidstate,
  HASH_PARAMETERS,
  initialMidstate,
  serializeMidstate,
} from '../../src/uploads/hash/midstate.js';
import { MidstateInvalidError } from '../../src/uploads/hash/midstate.errors.js';
import { referenceDigest, referenceWords } from '../support/sha2-reference.js';

/** The examples of NIST's "SHA256.pdf", "SHA512.pdf" and of FIPS 180-2 appendices B and C. */
const TWO_BLOCKS_256 = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq';
const TWO_BLOCKS_512 =
  'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu';
const NIST: readonly (readonly [DigestAlgorithm, string, string, string])[] = [
  ['sha256', 'nothing', '', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['sha256', 'abc', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'sha256',
    'two blocks',
    TWO_BLOCKS_256,
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
  [
    'sha256',
    'a million a',
    'a'.repeat(1e6),
    'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
  ],
  [
    'sha512',
    'nothing',
    '',
    'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
  ],
  [
    'sha512',
    'abc',
    'abc',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  ],
  [
    'sha512',
    'two blocks',
    TWO_BLOCKS_512,
    '8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909',
  ],
  [
    'sha512',
    'a million a',
    'a'.repeat(1e6),
    'e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b',
  ],
];

const FAR_BYTES = 5 * 1024 ** 3 + 17;

/**
 * What every {@link HasherFactory} promises, among others that the midstates of `load` and `loadOther` are
 * interchangeable.
 */
export function hasherContract(
  name: string,
  load: () => Promise<HasherFactory>,
  loadOther: () => Promise<HasherFactory>,
): void {
  describe(`hashers: ${name}`, () => {
    let factory: HasherFactory;
    let other: HasherFactory;
    beforeAll(async () => {
      [factory, other] = await Promise.all([load(), loadOther()]);
    });

    it('names itself', () => {
      expect(factory.implementation).toBe(name);
    });

    it('passes the verification at boot', async () => {
      await expect(verifyHasherFactory(factory)).resolves.toBeUndefined();
    });

    it.each(NIST)('computes %s of %s as NIST does', async (algorithm, _title, message, hex) => {
      const hasher = factory.create(algorithm);
      await hasher.update(Buffer.from(message));
      expect(hasher.digest()).toBe(`${algorithm}:${hex}`);
    });

    it.each(DIGEST_ALGORITHMS)('%s: continues after any save, here or elsewhere', async (algorithm) => {
      await fc.assert(
        fc.asyncProperty(messages(), fc.array(step(), { maxLength: 8 }), async (message, steps) => {
          const cuts = steps.map(({ at }) => Math.floor(at * message.length)).sort((a, b) => a - b);
          let hasher = factory.create(algorithm);
          let from = 0;
          for (const [i, to] of cuts.entries()) {
            await hasher.update(message.subarray(from, to));
            from = to;
            const midstate = JSON.parse(JSON.stringify(hasher.midstate())) as Midstate;
            expect(midstate.lengthBytes).toBe(to);
            hasher.dispose();
            hasher = (steps[i]!.elsewhere ? other : factory).resume(midstate);
          }
          await hasher.update(message.subarray(from));
          expect(hasher.digest()).toBe(digestOf(algorithm, message));
          hasher.dispose();
        }),
        { numRuns: 150 },
      );
    });

    it.each(DIGEST_ALGORITHMS)('%s: its midstates are those of FIPS 180-4', async (algorithm) => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 700 }), async (message) => {
          const hasher = factory.create(algorithm);
          await hasher.update(message);
          const { blockBytes } = HASH_PARAMETERS[algorithm];
          const whole = message.length - (message.length % blockBytes);
          expect(hasher.midstate()).toEqual({
            algorithm,
            words: referenceWords(algorithm, message),
            lengthBytes: message.length,
            partialBlock: Buffer.from(message.subarray(whole)).toString('base64'),
          });
        }),
        { numRuns: 60 },
      );
    });

    describe.each(DIGEST_ALGORITHMS)('%s', (algorithm) => {
      async function hasherOf(...chunks: Uint8Array[]): Promise<Hasher> {
        const hasher = factory.create(algorithm);
        for (const chunk of chunks) {
          await hasher.update(chunk);
        }
        return hasher;
      }

      it('returns its algorithm', () => {
        expect(factory.create(algorithm).algorithm).toBe(algorithm);
        expect(factory.resume(initialMidstate(algorithm)).algorithm).toBe(algorithm);
      });

      it('starts with the initial midstate, which empty chunks do not change', async () => {
        const hasher = await hasherOf(new Uint8Array(0), Buffer.alloc(0));
        expect(hasher.midstate()).toEqual(initialMidstate(algorithm));
        expect(hasher.digest()).toBe(digestOf(algorithm, Buffer.alloc(0)));
      });

      it('repeats its digest and continues after it', async () => {
        const hasher = await hasherOf(Buffer.from('layer'));
        const before = hasher.midstate();
        expect(hasher.digest()).toBe(digestOf(algorithm, Buffer.from('layer')));
        expect(hasher.digest()).toBe(digestOf(algorithm, Buffer.from('layer')));
        expect(hasher.midstate()).toEqual(before);
        await hasher.update(Buffer.from(' and more'));
        expect(hasher.digest()).toBe(digestOf(algorithm, Buffer.from('layer and more')));
      });

      it('continues after its midstate was taken, and that midstate stays valid', async () => {
        const hasher = await hasherOf(Buffer.alloc(1000, 1));
        const taken = hasher.midstate();
        const copy = structuredClone(taken);
        await hasher.update(Buffer.alloc(1000, 2));
        expect(taken).toEqual(copy);
        const [one, two] = [factory.resume(taken), factory.resume(taken)];
        await one.update(Buffer.alloc(1000, 2));
        expect(one.digest()).toBe(hasher.digest());
        expect(two.digest()).toBe(digestOf(algorithm, Buffer.alloc(1000, 1)));
      });

      it('hashes views at odd offsets', async () => {
        const bytes = randomBytes(600_000);
        const hasher = await hasherOf(
          new Uint8Array(bytes.buffer, bytes.byteOffset + 3, 101),
          bytes.subarray(104, 104 + 333_333),
        );
        expect(hasher.digest()).toBe(digestOf(algorithm, bytes.subarray(3, 104 + 333_333)));
      });

      it('keeps concurrent hashers apart', async () => {
        const messages = Array.from({ length: 24 }, (_, i) => randomBytes(i % 3 === 0 ? 700_001 : 1000 + i));
        const digests = await Promise.all(
          messages.map(async (message) => {
            const third = Math.ceil(message.length / 3);
            const hasher = factory.create(algorithm);
            for (let at = 0; at < message.length; at += third) {
              await hasher.update(message.subarray(at, at + third));
              hasher.digest();
            }
            return hasher.digest();
          }),
        );
        expect(digests).toEqual(messages.map((message) => digestOf(algorithm, message)));
      });

      it('accepts more concurrent updates than a queue holds', async () => {
        const message = randomBytes(ASYNC_THRESHOLD_BYTES);
        const hashers = Array.from({ length: 400 }, () => factory.create(algorithm));
        await Promise.all(hashers.map((hasher) => hasher.update(message)));
        const expected = digestOf(algorithm, message);
        expect(new Set(hashers.map((hasher) => hasher.digest()))).toEqual(new Set([expected]));
      });

      it('counts beyond 4 GiB as the other implementation and FIPS 180-4 do', async () => {
        const words = referenceWords(algorithm, Buffer.alloc(1024, 7));
        const tail = Buffer.from('the tail of it, more than a block long: '.repeat(10));
        const partial = tail.subarray(0, 17);
        const far = { algorithm, words, lengthBytes: FAR_BYTES, partialBlock: partial.toString('base64') };
        const expected = referenceDigest(algorithm, tail, words, FAR_BYTES + tail.length - 17);
        const [mine, others] = [factory.resume(far), other.resume(far)];
        for (const hasher of [mine, others]) {
          expect(hasher.midstate()).toEqual(far);
          await hasher.update(tail.subarray(17));
          expect(hasher.midstate().lengthBytes).toBe(FAR_BYTES + tail.length - 17);
          expect(hasher.digest()).toBe(`${algorithm}:${expected}`);
        }
        expect(mine.midstate()).toEqual(others.midstate());
      });

      it('carries the length across 2^32 bits and 2^32 bytes', async () => {
        for (const border of [2 ** 29, 2 ** 32]) {
          const words = referenceWords(algorithm, Buffer.alloc(1024, 9));
          const lengthBytes = border - HASH_PARAMETERS[algorithm].blockBytes;
          const hasher = factory.resume({ algorithm, words, lengthBytes, partialBlock: '' });
          const tail = Buffer.alloc(1000, 3);
          await hasher.update(tail);
          expect(hasher.midstate().lengthBytes).toBe(lengthBytes + 1000);
          const expected = referenceDigest(algorithm, tail, words, lengthBytes + 1000);
          expect(hasher.digest()).toBe(`${algorithm}:${expected}`);
        }
      });

      it('returns no midstate whose length exceeds a safe integer', async () => {
        const lengthBytes = Number.MAX_SAFE_INTEGER;
        const partialBlock = Buffer.alloc(lengthBytes % HASH_PARAMETERS[algorithm].blockBytes).toString(
          'base64',
        );
        const words = referenceWords(algorithm, Buffer.alloc(1024));
        const hasher = factory.resume({ algorithm, words, lengthBytes, partialBlock });
        expect(hasher.midstate().lengthBytes).toBe(lengthBytes);
        await hasher.update(Buffer.from('!'));
        expect(() => hasher.midstate()).toThrow(RangeError);
      });

      it('refuses malformed midstates', async () => {
        const good = (await hasherOf(Buffer.alloc(200, 5))).midstate();
        for (const bad of [
          { ...good, words: good.words.slice(2) },
          { ...good, lengthBytes: good.lengthBytes + 1 },
          { ...good, lengthBytes: -1 },
          { ...good, partialBlock: '' },
          { ...good, algorithm: 'md5' },
        ]) {
          expect(() => factory.resume(bad as Midstate)).toThrow(MidstateInvalidError);
        }
        expect(factory.resume(good).midstate()).toEqual(good);
      });

      it('refuses a second call during an update, and then continues', async () => {
        const message = randomBytes(1 << 20);
        const hasher = factory.create(algorithm);
        const update = hasher.update(message);
        await expect(hasher.update(Buffer.from('x'))).rejects.toThrow('busy');
        expect(() => hasher.midstate()).toThrow('busy');
        expect(() => hasher.digest()).toThrow('busy');
        await update;
        expect(hasher.digest()).toBe(digestOf(algorithm, message));
      });

      it('can be disposed of twice, and during an update', async () => {
        const hasher = factory.create(algorithm);
        const update = hasher.update(randomBytes(1 << 20));
        hasher.dispose();
        hasher.dispose();
        await expect(update).resolves.toBeUndefined();
        await expect(hasher.update(Buffer.from('x'))).rejects.toThrow('disposed');
        expect(() => hasher.digest()).toThrow('disposed');
        expect(() => hasher.midstate()).toThrow('disposed');
      });

      it('saves a midstate that survives serialization', async () => {
        const midstate = (await hasherOf(randomBytes(333))).midstate();
        expect(deserializeMidstate(serializeMidstate(midstate))).toEqual(midstate);
      });
    });

    it('keeps its buffers alive during garbage collections', async () => {
      const expected = createHash('sha256');
      const hasher = factory.create('sha256');
      for (let i = 0; i < 40; i++) {
        expected.update(Buffer.alloc(1 << 20, i));
        const update = hasher.update(Buffer.alloc(1 << 20, i));
        // Garbage that makes V8 collect while the update runs.
        for (let j = 0; j < 8; j++) {
          Buffer.alloc(1 << 18, j);
        }
        await update;
      }
      expect(hasher.digest()).toBe(`sha256:${expected.digest('hex')}`);
    });
  });
}

/** Short messages mostly, and some that are long enough for another thread. */
function messages(): fc.Arbitrary<Uint8Array> {
  const short = fc.uint8Array({ maxLength: 600 });
  const long = fc.tuple(
    fc.uint8Array({ minLength: 1, maxLength: 64 }),
    fc.integer({ min: 1, max: 1_200_000 }),
  );
  return fc.oneof(
    { weight: 4, arbitrary: short },
    { weight: 1, arbitrary: long.map(([seed, length]) => Buffer.alloc(length, seed)) },
  );
}

function step(): fc.Arbitrary<{ at: number; elsewhere: boolean }> {
  return fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), elsewhere: fc.boolean() });
}
