import { describe, expect, it } from '@jest/globals';
import { findPostgresPackage } from './postgres-package.js';

describe('findPostgresPackage', () => {
  it.each([
    ['sunos', 'sparc'],
    ['win32', 'x64'],
  ])('refuses a platform without binaries, and says what to do: %s-%s', async (platform, arch) => {
    await expect(findPostgresPackage(platform, arch)).rejects.toThrow(
      new RegExp(`no embedded PostgreSQL for this platform \\(${platform}-${arch}\\).*set DATABASE_URL`),
    );
  });
});
