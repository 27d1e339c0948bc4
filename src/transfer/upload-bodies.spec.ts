import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Configuration } from '../config/configuration.js';
import { refusalsBy } from '../observability/metrics/limit.metrics.js';
import { TooManyBodiesError } from './body.errors.js';
import { UploadBodies } from './upload-bodies.js';

const limitedTo = (uploadMaxBodies: number) =>
  new UploadBodies(Object.assign(new Configuration(), { uploadMaxBodies }));
const response = (closed = false) => Object.assign(new EventEmitter(), { closed }) as ServerResponse;

describe('UploadBodies', () => {
  it('refuses bodies beyond the limit, and counts them, until a response closes', () => {
    const bodies = limitedTo(2);
    const [first, second] = [response(), response()];
    bodies.enter(first);
    bodies.enter(second);
    const before = refusalsBy('upload_bodies');
    expect(() => bodies.enter(response())).toThrow(TooManyBodiesError);
    expect(refusalsBy('upload_bodies')).toBe(before + 1);
    first.emit('close');
    bodies.enter(response());
    expect(() => bodies.enter(response())).toThrow(TooManyBodiesError);
  });

  it('does not count a request whose client has disconnected before', () => {
    const bodies = limitedTo(1);
    for (let count = 0; count < 3; count += 1) bodies.enter(response(true));
    bodies.enter(response());
    expect(() => bodies.enter(response())).toThrow(TooManyBodiesError);
  });

  it('refuses none with the limit 0', () => {
    const bodies = limitedTo(0);
    for (let count = 0; count < 5_000; count += 1) bodies.enter(response());
  });
});
