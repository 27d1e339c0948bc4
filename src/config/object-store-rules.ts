import { Transform } from 'class-transformer';
import { IsInt, type IsUrl, Max, Min } from 'class-validator';

const MIB = 1024 * 1024;

/** What the settings of all object stores have in common. */
export const PART_SIZE = {
  default: 8 * MIB,
  /** S3 takes no smaller ones. */
  min: 5 * MIB,
  max: 1024 * MIB,
  expected: `expected a number of bytes from ${5 * MIB} to ${1024 * MIB}`,
} as const;

/** Of the parts that a layer is uploaded in. Decimal digits alone: `0x800000` and `1e7` are slips. */
export function IsPartSize(): PropertyDecorator {
  const rules = [
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && !/^\d+$/.test(value) ? NaN : Number(value),
    ),
    IsInt({ message: PART_SIZE.expected }),
    Min(PART_SIZE.min, { message: PART_SIZE.expected }),
    Max(PART_SIZE.max, { message: PART_SIZE.expected }),
  ];
  return (target, property) => {
    for (const rule of rules) rule(target, property);
  };
}

export const ENDPOINT_URL = {
  options: {
    protocols: ['http', 'https'],
    require_protocol: true,
    require_tld: false,
    // Compose names its containers so.
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
    'expected nothing, or segments of letters, digits, dots, dashes and underscores, each ended by a slash',
};
