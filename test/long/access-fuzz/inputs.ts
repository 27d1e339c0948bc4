import { SeededRandom } from '../../chaos/seeded-random.js';

/** Words that mean something to what is fuzzed. */
const WORDS = [
  ...[
    'Basic',
    'Bearer',
    'bearer',
    'Negotiate',
    'repository',
    'registry',
    'catalog',
    'pull',
    'push',
    'delete',
    '*',
  ],
  ...['team/app', 'team', 'team/**', '**', '/**', 'a/../b', 'A/B', 'grant_type', 'password', 'refresh_token'],
  ...['account', 'signed-in', 'anonymous', 'null', '{}', '[]', 'berth_', '0', '-1', 'NaN', '1e999', 'true'],
  ...['__proto__', 'constructor', '%00', '%2F', '..', "'", '"', '\\', ' ', ',', ':', ';', '=', '&', '[', ']'],
];
const ASCII = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n));
/** What Node sends in a header as one byte each. */
const BYTES = Array.from({ length: 96 }, (_, n) => String.fromCharCode(160 + n));
const UNICODE = [
  '\u0000',
  '\n',
  '\r',
  '\t',
  '\u007f',
  '\u202e',
  'ß',
  'é',
  '\ud83d\ude00',
  '\ud800',
  '\ufeff',
];

/** Makes inputs, always the same ones for a seed. */
export class AccessFuzz {
  readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  /** Words and characters, rarely very many. @param forHeader without what can't be sent in a header. */
  text(forHeader = false): string {
    const { random } = this;
    const length = random.chance(0.02) ? random.logInt(100, 20_000) : random.int(0, 12);
    const others = forHeader ? BYTES : UNICODE;
    const piece = () => random.pick(random.chance(0.4) ? WORDS : random.chance(0.1) ? others : ASCII);
    return Array.from({ length }, piece).join('');
  }

  /** A few changes of a text that is good. */
  mutated(text: string, forHeader = false): string {
    let result = text;
    for (let n = this.random.int(1, 3); n > 0; n -= 1) result = this.changed(result, forHeader);
    return result;
  }

  private changed(text: string, forHeader: boolean): string {
    const { random } = this;
    const [at, to] = [random.int(0, text.length), random.int(0, text.length)].sort((a, b) => a - b);
    if (at === undefined || to === undefined) return text;
    switch (random.int(0, 6)) {
      case 0:
        return text.slice(0, at) + text.slice(at + 1);
      case 1:
        return text.slice(0, at) + random.pick(ASCII) + text.slice(at);
      case 2:
        return text.slice(0, at) + random.pick(WORDS) + text.slice(at);
      case 3:
        return text.slice(0, at) + text.slice(to);
      case 4:
        return text + text.slice(at, to);
      case 5:
        return text.slice(0, at) + random.pick(forHeader ? BYTES : UNICODE) + text.slice(at + 1);
      default:
        // Not `toUpperCase`, which turns a byte into a character that no header can have.
        return text.slice(0, at) + text.slice(at, to).replace(/[a-z]/g, upper) + text.slice(to);
    }
  }

  /** A value of JSON, nested up to `depth`. */
  json(depth = 3): unknown {
    const { random } = this;
    switch (random.int(0, depth > 0 ? 6 : 4)) {
      case 0:
        return null;
      case 1:
        return random.pick([0, -1, 1e308, 1.5, Number.MAX_SAFE_INTEGER, Math.floor(Date.now() / 1000)]);
      case 2:
        return random.chance(0.5);
      case 3:
      case 4:
        return this.text();
      case 5:
        return Array.from({ length: random.int(0, 4) }, () => this.json(depth - 1));
      default:
        return Object.fromEntries(
          Array.from({ length: random.int(0, 4) }, () => [random.pick(WORDS), this.json(depth - 1)]),
        );
    }
  }

  /** A token that differs from a good one in its header, its payload or its signature. */
  token(good: string): string {
    const { random } = this;
    const parts = good.split('.');
    const index = random.int(0, 2);
    const part = parts[index] ?? '';
    const replaced = (text: string) => parts.map((each, n) => (n === index ? text : each)).join('.');
    switch (random.int(0, 6)) {
      case 0: {
        const bytes = Buffer.from(part, 'base64url');
        const bit = random.int(0, bytes.length * 8 - 1);
        bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        return replaced(bytes.toString('base64url'));
      }
      case 1:
        return random.shuffled(parts).join('.');
      case 2:
        return [encoded(this.header(parts[0] ?? '')), parts[1], random.pick([parts[2], ''])].join('.');
      case 3:
        return [parts[0], encoded(this.claims(parts[1] ?? '')), parts[2]].join('.');
      case 4:
        return replaced(encoded(this.json(5)));
      case 5:
        return replaced('x'.repeat(random.logInt(1, 8_000)));
      default:
        return this.mutated(good, true);
    }
  }

  private header(part: string): unknown {
    const { random } = this;
    const alg = random.pick(['none', 'HS256', 'ES384', 'es256', 'RS256', 'ES256', '', null]);
    const extra = random.pick([
      {},
      { jwk: {} },
      { jku: 'http://127.0.0.1/' },
      { crit: ['exp'] },
      { x5c: [''] },
    ]);
    return { ...decoded(part), alg, ...extra, ...(random.chance(0.2) && { kid: this.json(1) }) };
  }

  private claims(part: string): unknown {
    const claim = this.random.pick(['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'jti', 'access', 'cid']);
    return { ...decoded(part), [claim]: this.json(3) };
  }
}

function upper(letter: string): string {
  return letter.toUpperCase();
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decoded(part: string): object {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
}
