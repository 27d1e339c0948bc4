import { describe, expect, it } from '@jest/globals';
import { parseHtpasswd } from './htpasswd.js';

const HASH = `$2y$05$${'a'.repeat(53)}`;
const users = (text: string) => parseHtpasswd(text).users;
const problems = (text: string) =>
  parseHtpasswd(text).problems.map(({ line, message }) => `${line} ${message}`);

describe('parseHtpasswd', () => {
  it.each([
    ['', []],
    [`alice:${HASH}`, ['alice']],
    [`alice:${HASH}\nbob:${HASH}\n`, ['alice', 'bob']],
    [`\uFEFF# users\r\n\r\nalice:${HASH}\r\n  \r\nbob:${HASH}\r\n`, ['alice', 'bob']],
    [`alice:${HASH.replace('$2y$', '$2a$')}`, ['alice']],
    [`alice:${HASH.replace('$2y$05', '$2b$14')}`, ['alice']],
  ])('reads %j', (text, names) => {
    expect(problems(text)).toEqual([]);
    expect(users(text).map(({ name }) => name)).toEqual(names);
  });

  it('reads the hash as it is', () => {
    expect(users(`alice:${HASH}`)).toEqual([{ name: 'alice', passwordHash: HASH, line: 1 }]);
  });

  it.each([
    ['alice', 'expected name:hash'],
    ['alice:', 'expected name:hash'],
    [`:${HASH}`, 'expected name:hash'],
    [`Alice:${HASH}`, 'the name "Alice" is invalid: expected 2 to 64'],
    [`a:${HASH}`, 'the name "a" is invalid'],
    [`al ice:${HASH}`, 'the name "al ice" is invalid'],
    [`alice:${HASH}:more`, 'the hash of alice is not bcrypt'],
    [`alice: ${HASH}`, 'the hash of alice is not bcrypt'],
    ['alice:$apr1$CiCIC6bs$Y8nD9gp', 'the hash of alice is not bcrypt'],
    ['alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', 'the hash of alice is not bcrypt'],
    ['alice:plain text', 'the hash of alice is not bcrypt'],
    [`alice:${HASH.replace('$05', '$03')}`, 'the hash of alice has a bcrypt cost of 3: expected 4 to 14'],
    [`alice:${HASH.replace('$05', '$17')}`, 'the hash of alice has a bcrypt cost of 17'],
  ])('finds what is wrong with %j', (text, problem) => {
    expect(problems(text)).toEqual([expect.stringContaining(`1 ${problem}`)]);
  });

  it('finds all problems, with the numbers of their lines, and repeats no hash', () => {
    const text = `alice:${HASH}\nbob:secret\n\nalice:${HASH}\nalice:${HASH}\nhunter2\n`;
    expect(problems(text)).toEqual([
      expect.stringContaining('2 the hash of bob is not bcrypt'),
      '4 the name alice is in line 1 too',
      '5 the name alice is in line 1 too',
      '6 expected name:hash',
    ]);
    expect(problems(text).join()).not.toMatch(/secret|hunter2|\$2y\$05/);
  });

  it('lists at most 100 problems, and shortens names', () => {
    const all = problems('A'.repeat(10_000) + ':x\n' + 'nothing\n'.repeat(5_000));
    expect(all).toHaveLength(100);
    expect(all[0]?.length).toBeLessThan(250);
  });

  it('accepts 1,000 users, and not one more', () => {
    const file = (count: number) => Array.from({ length: count }, (_, n) => `user${n}:${HASH}`).join('\n');
    expect(users(file(1_000))).toHaveLength(1_000);
    expect(problems(file(1_000))).toEqual([]);
    expect(problems(file(5_000))).toEqual(['1001 more than 1000 users: import the file in parts']);
  });
});
