import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, jest } from '@jest/globals';
import { progressListener } from './upload-progress.js';

const TEXT = 'HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: 7\r\n\r\n';

describe('the progress of an upload', () => {
  const request = (headers: object, httpVersion = '1.1') => ({ headers, httpVersion }) as IncomingMessage;
  const asking = request({ prefer: 'upload-progress' });

  /** What is written to the socket of a response in that state. */
  const sent = (state: { headersSent?: boolean; socket?: null }, socket: object = {}) => {
    const write = jest.fn();
    const usual = {
      headersSent: false,
      socket: { writable: true, writableNeedDrain: false, write, ...socket },
    };
    progressListener(asking, { ...usual, ...state } as unknown as ServerResponse)?.(7);
    return write.mock.calls.flat();
  };

  it('is sent as an interim response', () => {
    expect(sent({})).toEqual([TEXT]);
  });

  it.each<[when: string, state: Parameters<typeof sent>]>([
    ['after the head of the response', [{ headersSent: true }]],
    ['while an earlier response of the connection is sent', [{ socket: null }]],
    ['to a closed connection', [{}, { writable: false }]],
    ['to a client that does not read', [{}, { writableNeedDrain: true }]],
  ])('is not sent %s', (_, state) => {
    expect(sent(...state)).toEqual([]);
  });

  it.each([
    ['without the preference', request({})],
    ['with HTTP/1.0', request({ prefer: 'upload-progress' }, '1.0')],
  ])('has no listener for a request %s', (_, unasking) => {
    expect(progressListener(unasking, {} as ServerResponse)).toBeUndefined();
  });
});
