import { beforeAll, describe, expect, it } from '@jest/globals';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('GET /v2/', () => {
  let berth: RunningBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  it.each(['/v2/', '/v2'])('%s says that this is a registry', async (path) => {
    const response = await client.fetch(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    expect(response.headers.get('content-type')).toBe('application/json');
  });
});
