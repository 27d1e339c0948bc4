import { expect, it } from '@jest/globals';
import { describeListenFailure } from './listen-failure.js';

const failure = (fields: object) => Object.assign(new Error('failed'), fields);

it.each([
  [{ code: 'EADDRINUSE', syscall: 'listen' }, 'Address db.example:80 (HOST and PORT) is in use by another'],
  [{ code: 'EACCES', syscall: 'listen' }, 'This user may not listen on port 80 (PORT)'],
  [{ code: 'EADDRNOTAVAIL', syscall: 'listen' }, 'HOST (db.example) is not an address of this machine'],
  [
    { code: 'ENOTFOUND', syscall: 'getaddrinfo' },
    'HOST (db.example) is neither an IP address nor a host name',
  ],
  [
    { code: 'EAI_AGAIN', syscall: 'getaddrinfo' },
    'HOST (db.example) is neither an IP address nor a host name',
  ],
  [
    { code: 'EPERM', syscall: 'listen' },
    "Berth can't listen on db.example:80, the address of HOST and PORT (EPERM)",
  ],
])('%j', (fields, sentence) => {
  const described = describeListenFailure(failure(fields), { host: 'db.example', port: 80 });
  expect(described).toContain(sentence);
  expect(described).toMatch(/^[A-Z].*[^.]\.$/);
});
