import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeUploadProgress, PROGRESS_SETTINGS } from '../e2e/upload-progress.contract.js';
import { ORDINARY_BODIES } from '../support/ordinary-bodies.js';
import { RawConnection, type RawHeaders, requestHead } from '../support/raw-http.js';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { patternBytes } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
const ASK: RawHeaders = [['Prefer', 'upload-progress']];

describeUploadProgress('over TLS', { TLS: 'auto' });
describeUploadProgress('without direct reads', { ...ORDINARY_BODIES });

describe('a Berth that is killed right after an interim response', () => {
  let berth: OwnBerth;
  beforeAll(async () => void (berth = await OwnBerth.start(PROGRESS_SETTINGS)));
  afterAll(() => berth.dispose());

  it.each([1, 2])('has had the bytes that it named, time %i', async () => {
    const location = await new RegistryClient(berth.url).startUpload('progress/killed');
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PATCH', location, [['Content-Length', 4 * MIB], ...ASK]);
    await connection.send(head, patternBytes(3 * MIB));
    let told = 0;
    while (told === 0) told = Number((await connection.head()).headers.get('upload-offset'));
    await berth.kill();
    await berth.startAgain();
    const status = await new RegistryClient(berth.url).fetch(location);
    expect(Number(status.headers.get('upload-offset'))).toBeGreaterThanOrEqual(told);
    connection.leave();
  });
});
