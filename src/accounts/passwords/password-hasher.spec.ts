import { hash as argon2 } from '@node-rs/argon2';
import { hash as bcrypt } from '@node-rs/bcrypt';
import { describe, expect, it } from '@jest/globals';
import { PasswordHasher } from './password-hasher.js';

const PASSWORD = 'correct horse é';
const WRONG = 'correct horse e';

describe('PasswordHasher', () => {
  const hasher = new PasswordHasher();

  it('hashes with argon2id, each time with a new salt', async () => {
    const [one, other] = await Promise.all([hasher.hash(PASSWORD), hasher.hash(PASSWORD)]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=32768,t=3,p=1\$/);
    expect(other).not.toBe(one);
    expect(await hasher.verify(one, PASSWORD)).toEqual({ matches: true, needsRehash: false });
    expect(await hasher.verify(one, WRONG)).toEqual({ matches: false, needsRehash: false });
  });

  it.each(['2a', '2b', '2y'] as const)(
    'verifies bcrypt hashes of version %s, to be replaced',
    async (version) => {
      // The versions differ in faults of old programs only.
      const hash = (await bcrypt(PASSWORD, 4)).replace('2b', version);
      expect(hash).toMatch(`$${version}$04$`);
      expect(await hasher.verify(hash, PASSWORD)).toEqual({ matches: true, needsRehash: true });
      expect(await hasher.verify(hash, WRONG)).toEqual({ matches: false, needsRehash: false });
    },
  );

  it('verifies argon2id hashes of other parameters, to be replaced', async () => {
    const hash = await argon2(PASSWORD, { memoryCost: 1024, timeCost: 1, parallelism: 1 });
    expect(await hasher.verify(hash, PASSWORD)).toEqual({ matches: true, needsRehash: true });
  });

  it.each([
    null,
    '',
    'plain text',
    '$apr1$salt$hash',
    '$argon2id$v=19$m=32768,t=3,p=1$short',
    `$2b$31$${'a'.repeat(53)}`,
    `$2x$04$${'a'.repeat(53)}`,
  ])('matches nothing without a hash that it knows: %j', async (hash) => {
    expect(await hasher.verify(hash, PASSWORD)).toEqual({
      matches: false,
      needsRehash: false,
    });
  });

  it('runs two hashes at a time, and refuses those for which the queue has no room', async () => {
    const hash = await bcrypt(PASSWORD, 4);
    const checks = await Promise.allSettled(Array.from({ length: 80 }, () => hasher.verify(hash, PASSWORD)));
    expect(checks.filter(({ status }) => status === 'fulfilled')).toHaveLength(2 + 64);
    expect(await hasher.verify(hash, PASSWORD)).toEqual({ matches: true, needsRehash: true });
  });
});
