import { parseArgs } from 'node:util';
import { s3Store, type S3Store } from './servers/s3-bucket.js';

export const USAGE = `npm run bench -- [options]

  --list             names the cases, and runs none
  --only PATTERN     runs the cases whose name matches this regular expression
  --quick            small sizes, short rounds: shows that everything works, not how fast
  --rounds N         measured rounds per case (default 5)
  --warm-up N        rounds before them (default 5)
  --seconds S        length of a round, of those that are cut by time (default 1)
  --workers N        Berth's WORKERS (default auto)
  --dist DIR         measures the build in this directory instead of making one in dist
  --peer PATH        the registry to compare with (default docker-registry, where it is on the PATH)
  --no-peer          measures Berth alone
  --tls              https: both servers with the same new certificate (needs openssl; no limits are measured)
  --s3 URL           both servers over the object store at this URL, with the keys in AWS_ACCESS_KEY_ID and
                     AWS_SECRET_ACCESS_KEY: the pushes only, and no limits
  --without-sha      as on a processor without SHA instructions: servers and limits don't use them (x86 only)
  --directory DIR    where the data lies meanwhile, 20 GB at most (default the system's temporary directory)
  --json FILE        writes all figures to this file, too
  --help             prints this
`;

export interface Options {
  readonly list: boolean;
  readonly help: boolean;
  readonly only: RegExp;
  readonly quick: boolean;
  readonly rounds: number;
  readonly warmUp: number;
  readonly seconds: number;
  readonly workers: string;
  readonly dist: string | undefined;
  /** Undefined: no peer. */
  readonly peer: string | undefined;
  readonly tls: boolean;
  readonly withoutSha: boolean;
  /** Undefined: the file system. */
  readonly s3: S3Store | undefined;
  readonly directory: string | undefined;
  readonly json: string | undefined;
}

/** @throws Error that names the invalid option. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      'warm-up': { type: 'string' },
      seconds: { type: 'string' },
      workers: { type: 'string', default: 'auto' },
      dist: { type: 'string' },
      peer: { type: 'string', default: 'docker-registry' },
      'no-peer': { type: 'boolean', default: false },
      tls: { type: 'boolean', default: false },
      s3: { type: 'string' },
      'without-sha': { type: 'boolean', default: false },
      directory: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const { quick } = values;
  if (values['without-sha'] && process.arch !== 'x64')
    throw new Error('--without-sha needs an x86 processor');
  return {
    list: values.list,
    help: values.help,
    only: new RegExp(values.only, 'i'),
    quick,
    rounds: positive('--rounds', values.rounds ?? (quick ? '2' : '5')),
    warmUp: positive('--warm-up', values['warm-up'] ?? (quick ? '1' : '5')),
    seconds: positive('--seconds', values.seconds ?? (quick ? '0.2' : '1')),
    workers: values.workers,
    dist: values.dist,
    peer: values['no-peer'] ? undefined : values.peer,
    tls: values.tls,
    withoutSha: values['without-sha'],
    s3: values.s3 === undefined ? undefined : s3Store(values.s3),
    directory: values.directory,
    json: values.json,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0`);
  return value;
}
