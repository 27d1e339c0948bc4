import { describe, expect, it } from '@jest/globals';
import { loadConfiguration } from './load-configuration.js';

describe('an integer setting', () => {
  it.each(['0x1388', '1e3', '5000.0', '+5000', '-1', ' 5000', '५०', '65536', '9'.repeat(400)])(
    'refuses PORT=%s',
    (value) => {
      expect(() => loadConfiguration({ PORT: value })).toThrow(
        'PORT – expected a port number from 0 to 65535 (0: any free port)',
      );
    },
  );

  it.each(['0x2', '1e0', '2.0', '0', '65'])('refuses WORKERS=%s', (value) => {
    expect(() => loadConfiguration({ WORKERS: value })).toThrow('WORKERS – expected a number of processes');
  });

  it.each([
    ['UPLOAD_LEASE_SECONDS', 'a number of seconds from 2 to 300'],
    ['UPLOAD_CHECKPOINT_BYTES', 'a number of bytes from 1048576 to 1073741824'],
    ['MANIFEST_MAX_BYTES', 'a number of bytes from 4194304 to 16777216'],
    ['REQUEST_MIN_BYTES_PER_SECOND', 'a number of bytes from 0 to 1048576 (0: no minimum)'],
  ])('names the range of %s', (name, range) => {
    expect(() => loadConfiguration({ [name]: '1' + '0'.repeat(12) })).toThrow(`${name} – expected ${range}`);
  });

  it('accepts decimal digits', () => {
    expect(loadConfiguration({ PORT: '0', WORKERS: '2', UPLOAD_LEASE_SECONDS: '007' })).toMatchObject({
      port: 0,
      workers: 2,
      uploadLeaseSeconds: 7,
    });
  });
});
