import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import { isConflict, isDatabaseFull, isDatabaseUnavailable } from './database-errors.js';
import { NoQueryInTimeError } from './no-query-in-time.error.js';

const error = (fields: object) => Object.assign(new Error('failed'), fields);
const query = (fields: object) => new QueryFailedError('SELECT 1', [], error(fields));

describe('isDatabaseUnavailable', () => {
  it.each([
    ['nobody listens', error({ code: 'ECONNREFUSED', syscall: 'connect' })],
    ['the socket is gone', error({ code: 'ENOENT', syscall: 'connect' })],
    ['too many open files', error({ code: 'EMFILE', syscall: 'connect' })],
    ['the name service is away', error({ code: 'EAI_AGAIN', syscall: 'getaddrinfo' })],
    ['a query whose connection broke', query({ code: 'ECONNRESET', syscall: 'read' })],
    ['an administrator ended the connection', query({ code: '57P01', severity: 'FATAL' })],
    ['the server is starting up', error({ code: '57P03', severity: 'FATAL' })],
    ['the database takes no connections', error({ code: '55000', severity: 'FATAL' })],
    ['out of memory', query({ code: '53200', severity: 'ERROR' })],
    ['the pool is exhausted', new Error('timeout exceeded when trying to connect')],
    ['a read for which no query began', new NoQueryInTimeError('no query began in time')],
    ['a connection that ended unexpectedly', new Error('Connection terminated unexpectedly')],
  ])('yes: %s', (_, failure) => expect(isDatabaseUnavailable(failure)).toBe(true));

  it.each([
    ['a constraint', query({ code: '23505', severity: 'ERROR' })],
    ['a mistake of ours', query({ code: '42601', severity: 'ERROR' })],
    ['a file that is missing', error({ code: 'ENOENT', syscall: 'open' })],
    ['a client that left', error({ code: 'ECONNRESET' })],
    ['a full disk, which a retry finds full', query({ code: '53100', severity: 'ERROR' })],
    ['nothing', undefined],
  ])('no: %s', (_, failure) => expect(isDatabaseUnavailable(failure)).toBe(false));
});

describe('isDatabaseFull', () => {
  it.each([
    [true, 'a statement that needs space', query({ code: '53100', severity: 'ERROR' })],
    [true, 'a log that can not be written', query({ code: '53100', severity: 'PANIC' })],
    [false, 'out of memory', query({ code: '53200', severity: 'ERROR' })],
    [false, 'nothing', undefined],
  ])('%s: %s', (is, _, failure) => expect(isDatabaseFull(failure)).toBe(is));
});

describe('isConflict', () => {
  it.each(['23505', '23503', '40001', '40P01'])('yes: %s', (code) =>
    expect(isConflict(query({ code, severity: 'ERROR' }))).toBe(true),
  );

  it.each([
    ['a mistake of ours', query({ code: '42601', severity: 'ERROR' })],
    ['a value that must not be missing', query({ code: '23502', severity: 'ERROR' })],
    ['an administrator ended the connection', query({ code: '57P01', severity: 'FATAL' })],
    ['what is no answer to a query', error({ code: '23505' })],
  ])('no: %s', (_, failure) => expect(isConflict(failure)).toBe(false));
});
