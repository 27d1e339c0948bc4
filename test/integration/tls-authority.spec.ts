import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { TlsAuthority } from '../../src/tls/tls-authority.js';
import { TlsAuthorityStore } from '../../src/tls/tls-authority.store.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

let test: TestDataSource;

beforeAll(async () => {
  test = await createTestDataSource();
});
afterAll(() => test.dispose());

const processes = () => [1, 2, 3, 4].map(() => new TlsAuthority(new TlsAuthorityStore(test.dataSource)));
const establishAll = async (now: Date) =>
  new Set((await Promise.all(processes().map((each) => each.establish(now)))).map(({ cert }) => cert));

it('processes that start at once agree on one certificate authority, also when they replace it', async () => {
  const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  const first = await establishAll(new Date());
  expect(first.size).toBe(1);
  expect(await establishAll(new Date())).toEqual(first);
  const later = await establishAll(new Date(Date.now() + 3650 * 24 * 60 * 60 * 1000));
  expect(later.size).toBe(1);
  expect(later).not.toEqual(first);
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('clients must trust the new one'));
  warn.mockRestore();
});
