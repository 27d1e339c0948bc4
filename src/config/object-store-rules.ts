import type { IsUrl } from 'class-validator';
import { Integer } from './integer.js';

const MIB = 1024 * 1024;

export const DEFAULT_PART_SIZE_BYTES = 8 * MIB;

/** Size of the parts of a layer. S3 requires at least 5 MiB. */
export const PartSize = () => Integer({ what: 'a number of bytes', min: 5 * MIB, max: 1024 * MIB });

export const ENDPOINT_URL = {
  options: {
    protocols: ['http', 'https'],
    require_protocol: true,
    require_tld: false,
    // Docker Compose's names of containers have underscores.
    allow_underscores: true,
    allow_query_components: false,
    allow_fragments: false,
    disallow_auth: true,
  } satisfies Parameters<typeof IsUrl>[0],
  expected: 'expected http://host or https://host, without credentials',
};

export const OBJECT_PREFIX = {
  pattern: /^(?!.*(^|\/)\.{1,2}\/)([A-Za-z0-9._-]+\/)*$/,
  expected:
    'expected nothing, or segments of letters, digits, dots, dashes and underscores, each ending in a slash',
};
