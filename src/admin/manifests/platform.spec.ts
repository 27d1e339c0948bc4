import { describe, expect, it } from '@jest/globals';
import { configOf, platformOf, platformsOf } from './platform.js';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const digest = `sha256:${'0'.repeat(64)}`;

describe('platformOf', () => {
  it.each([
    [{ os: 'linux', architecture: 'amd64' }, 'linux/amd64'],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux/arm/v7'],
    [{ os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763.1' }, 'windows/amd64'],
    [{ os: 'linux', architecture: 'amd64', variant: '' }, 'linux/amd64'],
    [{}, undefined],
    [{ os: 'linux' }, undefined],
    [{ os: 'lin\u0000ux', architecture: 'amd64' }, undefined],
    [{ os: '<b>', architecture: 'amd64' }, undefined],
    [{ os: 'x'.repeat(65), architecture: 'amd64' }, undefined],
    [{ os: ['linux'], architecture: 'amd64' }, undefined],
    [[], undefined],
    [null, undefined],
  ])('of %j is %j', (config, platform) => {
    expect(platformOf(json(config))).toBe(platform);
  });

  it('of a text that is not JSON is undefined', () => {
    expect(platformOf(Buffer.from('{'))).toBeUndefined();
  });
});

describe('platformsOf', () => {
  const of = (...platforms: unknown[]) =>
    platformsOf(json({ manifests: platforms.map((platform) => ({ platform })) }));

  it('returns each platform of an index once, in its order, without attestations', () => {
    const amd64 = { os: 'linux', architecture: 'amd64' };
    const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    const unknown = { os: 'unknown', architecture: 'unknown' };
    expect(of(arm64, amd64, unknown, arm64, undefined, 'text')).toEqual(['linux/arm64/v8', 'linux/amd64']);
  });

  it('returns at most 100', () => {
    const many = Array.from({ length: 200 }, (_, n) => ({ os: 'linux', architecture: `a${n}` }));
    expect(of(...many)).toHaveLength(100);
  });

  it.each([{}, { manifests: {} }, { manifests: [null, 1] }, 'text'])('of %j are none', (index) => {
    expect(platformsOf(json(index))).toEqual([]);
  });
});

describe('configOf', () => {
  it.each([
    ['application/vnd.oci.image.config.v1+json', digest],
    ['application/vnd.docker.container.image.v1+json', digest],
    ['application/vnd.cncf.helm.config.v1+json', undefined],
    ['application/vnd.oci.empty.v1+json', undefined],
  ])('of a manifest whose config is %s is %j', (mediaType, expected) => {
    expect(configOf(json({ config: { mediaType, digest, size: 2 } }))).toBe(expected);
  });

  it.each([{}, { config: null }, { manifests: [] }])('of %j is undefined', (manifest) => {
    expect(configOf(json(manifest))).toBeUndefined();
  });
});
