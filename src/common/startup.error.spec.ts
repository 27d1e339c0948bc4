import { expect, it } from '@jest/globals';
import { StartupError } from './startup.error.js';

it.each(['It failed', 'It failed.', 'It failed..', 'It failed.\n'])(
  'ends %j with one full stop',
  (message) => {
    expect(new StartupError(message).message).toBe('It failed.');
  },
);
