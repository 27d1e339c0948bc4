import { describe, expect, it } from '@jest/globals';
import { digestOf } from '../../oci/digest.js';
import type { Hasher, HasherFactory, Midstate } from './hasher.js';
import { createHasherFactory } from './hasher.factory.js';
import { verifyHasherFactory } from './hasher-verification.js';
import { initialMidstate } from './midstate.js';
import { OpensslHasherFactory } from './openssl-hasher.factory.js';
import type { ForeignFunctions } from './openssl-library.js';
import { WasmHasherFactory } from './wasm-hasher.factory.js';

const wasm = () => WasmHasherFactory.load();
const broken = (message: string) => () => Promise.reject(new Error(message));

/** The real factory, with something wrong in every hasher that it makes. */
function tampered(factory: HasherFactory, tamper: (hasher: Hasher) => Partial<Hasher>): HasherFactory {
  const wrap = (hasher: Hasher): Hasher => ({
    algorithm: hasher.algorithm,
    update: (chunk) => hasher.update(chunk),
    midstate: () => hasher.midstate(),
    digest: () => hasher.digest(),
    dispose: () => hasher.dispose(),
    ...tamper(hasher),
  });
  return {
    implementation: factory.implementation,
    create: (algorithm) => wrap(factory.create(algorithm)),
    resume: (midstate) => wrap(factory.resume(midstate)),
  };
}

async function choose(implementations: Parameters<typeof createHasherFactory>[1]) {
  const warnings: string[] = [];
  const factory = await createHasherFactory((warning) => warnings.push(warning), implementations);
  return { factory, warnings };
}

describe('createHasherFactory', () => {
  it("chooses Node's own OpenSSL, without a warning", async () => {
    const { factory, warnings } = await choose(undefined);
    expect(factory.implementation).toBe('openssl');
    expect(warnings).toEqual([]);
  });

  it('falls back to WebAssembly with one sentence, however long the loader error is', async () => {
    const { factory, warnings } = await choose({
      openssl: broken('no koffi\nRequire stack:\n- /home/x'),
      wasm,
    });
    expect(factory.implementation).toBe('wasm');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/no koffi$/);
    const hasher = factory.create('sha256');
    await hasher.update(Buffer.from('abc'));
    expect(hasher.digest()).toBe(digestOf('sha256', Buffer.from('abc')));
  });

  it('throws with both causes when neither works', async () => {
    const choice = choose({ openssl: broken('no symbols'), wasm: broken('no wasm') });
    await expect(choice).rejects.toMatchObject({
      cause: { errors: [{ message: 'no symbols' }, { message: 'no wasm' }] },
    });
  });

  it('refuses an implementation with wrong results', async () => {
    const wrong = tampered(await wasm(), ({ algorithm }) => ({
      digest: () => digestOf(algorithm, Buffer.from('always the same')),
    }));
    const { factory, warnings } = await choose({ openssl: () => Promise.resolve(wrong), wasm });
    expect(factory).not.toBe(wrong);
    expect(warnings[0]).toContain('its self-test failed at sha256 of ');
    await expect(choose({ openssl: broken('x'), wasm: () => Promise.resolve(wrong) })).rejects.toThrow(
      'no impl',
    );
  });

  it('verification accepts a wrapped factory', async () => {
    await expect(verifyHasherFactory(tampered(await wasm(), () => ({})))).resolves.toBeUndefined();
  });

  it('verification finds words that midstate and resume both get wrong', async () => {
    const real = await wasm();
    const twisted = (midstate: Midstate) =>
      midstate.words === initialMidstate(midstate.algorithm).words
        ? midstate
        : { ...midstate, words: reversed(midstate.words) };
    const symmetric = tampered(
      {
        implementation: 'wasm',
        create: (algorithm) => real.create(algorithm),
        resume: (midstate) => real.resume(twisted(midstate)),
      },
      (hasher) => ({ midstate: () => twisted(hasher.midstate()) }),
    );
    await expect(verifyHasherFactory(symmetric)).rejects.toThrow('at the midstate of sha256');
  });

  it.each<[string, (hasher: Hasher) => Partial<Hasher>]>([
    ['an update that is dropped', () => ({ update: () => Promise.resolve() })],
    [
      'long chunks that are cut',
      (hasher) => ({ update: (chunk) => hasher.update(chunk.subarray(0, 256 * 1024)) }),
    ],
    [
      'a length of 32 bits',
      (hasher) => ({
        midstate: () => ({ ...hasher.midstate(), lengthBytes: hasher.midstate().lengthBytes % 2 ** 32 }),
      }),
    ],
  ])('verification finds %s', async (_title, tamper) => {
    await expect(verifyHasherFactory(tampered(await wasm(), tamper))).rejects.toThrow();
  });
});

describe('OpensslHasherFactory.load', () => {
  const library = (func: () => never) => ({ load: () => ({ func }) });

  it.each<[string, () => Promise<ForeignFunctions>]>([
    ['koffi is missing', () => Promise.reject(new Error('Cannot find package koffi'))],
    ['nothing can be loaded', () => Promise.resolve({ load: () => raise('no libraries') })],
    ['the symbols are missing', () => Promise.resolve(library(() => raise('Cannot find SHA256_Init')))],
  ])('rejects when %s', async (_title, importKoffi) => {
    await expect(OpensslHasherFactory.load(importKoffi)).rejects.toThrow(/Cannot find|no libraries/);
  });

  it('loads the symbols of the executable if the process has no global scope', async () => {
    const { load } = (await import('koffi')).default;
    const paths: (string | null)[] = [];
    const koffi = {
      load: (path: string | null) => {
        paths.push(path);
        return path === null ? raise('no global scope') : load(null);
      },
    };
    const factory = await OpensslHasherFactory.load(() => Promise.resolve(koffi));
    expect(paths).toEqual([null, process.execPath]);
    await expect(verifyHasherFactory(factory)).resolves.toBeUndefined();
  });

  it.each<[string, (...values: unknown[]) => unknown, string]>([
    ['a function that fails', () => 0, 'failed'],
    ['a context larger than documented', (context) => ((context as Buffer).fill(1), 1), 'unknown layout'],
  ])('its hashers refuse %s', async (_title, behaviour, message) => {
    const func = Object.assign(behaviour, { async: () => raise('not used') });
    const factory = await OpensslHasherFactory.load(() =>
      Promise.resolve({ load: () => ({ func: () => func }) }),
    );
    expect(() => factory.create('sha256')).toThrow(message);
  });

  it('rejects with the error of another thread, and can be used afterwards', async () => {
    const func = Object.assign(() => 1, {
      async: (...values: unknown[]) => (values.at(-1) as (error: unknown) => void)(new Error('thread')),
    });
    const factory = await OpensslHasherFactory.load(() =>
      Promise.resolve({ load: () => ({ func: () => func }) }),
    );
    const hasher = factory.create('sha256');
    await expect(hasher.update(Buffer.alloc(1 << 20))).rejects.toMatchObject({
      cause: { message: 'thread' },
    });
    expect(hasher.midstate().lengthBytes).toBe(0);
  });
});

describe('WasmHasherFactory.load', () => {
  it('rejects a hash-wasm with states of another size', async () => {
    const { createBLAKE3 } = await import('hash-wasm');
    const engine = await createBLAKE3();
    await expect(
      WasmHasherFactory.load(() => Promise.resolve({ sha256: engine, sha512: engine })),
    ).rejects.toThrow('unknown layout');
  });
});

function reversed(words: string): string {
  return Buffer.from(words, 'hex').reverse().toString('hex');
}

function raise(message: string): never {
  throw new Error(message);
}
