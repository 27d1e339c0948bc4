import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import { asDatabaseError, isDatabaseFull, isDatabaseUnavailable } from './database-errors.js';
import { NoQueryInTimeError } from './no-query-in-time.error.js';

const error = (fields: object) => Object.assign(new Error('failed'), fields);
const query = (fields: object) => new QueryFailedError('SELECT 1', [], error(fields));

describe('isDatabaseUnavailable', () => {
  it.each([
    ['no server on the port', error({ code: 'ECONNREFUSED', syscall: 'connect' })],
    [
      'no server on any of several addresses',
      new AggregateError([error({ code: 'ECONNREFUSED', syscall: 'connect' })]),
    ],
    ['no socket file', error({ code: 'ENOENT', syscall: 'connect' })],
    ['too many open files', error({ code: 'EMFILE', syscall: 'connect' })],
    ['no name service', error({ code: 'EAI_AGAIN', syscall: 'getaddrinfo' })],
    ['a connection that broke during a query', query({ code: 'ECONNRESET', syscall: 'read' })],
    ['a connection that broke in the handshake', asDatabaseError(error({ code: 'EPIPE', syscall: 'write' }))],
    ['a connection ended by an administrator', query({ code: '57P01', severity: 'FATAL' })],
    ['a server that starts up', error({ code: '57P03', severity: 'FATAL' })],
    ['a database that accepts no connections', error({ code: '55000', severity: 'FATAL' })],
    ['out of memory', query({ code: '53200', severity: 'ERROR' })],
    ['an exhausted pool', new Error('timeout exceeded when trying to connect')],
    ['a read whose query did not start', new NoQueryInTimeError('no query started in time')],
    ['a connection that ended unexpectedly', new Error('Connection terminated unexpectedly')],
  ])('is true for %s', (_, failure) => expect(isDatabaseUnavailable(failure)).toBe(true));

  it.each([
    ['a constraint', query({ code: '23505', severity: 'ERROR' })],
    ['a syntax error', query({ code: '42601', severity: 'ERROR' })],
    ['a missing file', error({ code: 'ENOENT', syscall: 'open' })],
    ['a client that disconnected', error({ code: 'ECONNRESET' })],
    ['a full disk', query({ code: '53100', severity: 'ERROR' })],
    ['undefined', undefined],
  ])('is false for %s', (_, failure) => expect(isDatabaseUnavailable(failure)).toBe(false));
});

describe('asDatabaseError', () => {
  it.each([
    ['a failed query', query({ code: 'ECONNRESET', syscall: 'read' })],
    ['a wrong password', error({ code: '28P01', severity: 'FATAL' })],
    ['a bug', new TypeError('x is not a function')],
    ['undefined', undefined],
  ])('leaves %s as it is', (_, failure) => expect(asDatabaseError(failure)).toBe(failure));
});

describe('isDatabaseFull', () => {
  it.each([
    [true, 'a statement that needs space', query({ code: '53100', severity: 'ERROR' })],
    [true, 'a log that can not be written', query({ code: '53100', severity: 'PANIC' })],
    [false, 'out of memory', query({ code: '53200', severity: 'ERROR' })],
    [false, 'undefined', undefined],
  ])('is %s for %s', (is, _, failure) => expect(isDatabaseFull(failure)).toBe(is));
});
