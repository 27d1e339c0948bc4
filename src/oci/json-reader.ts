import { isUtf8 } from 'node:buffer';
import { describeExpected, type Expected, JsonError, nameOf } from './json-error.js';
import { foldCase, type JsonShape } from './json-shape.js';
import { firstByteOutsideUtf8 } from './utf8.js';

/** Maximum nesting of lists and objects. Manifests have five levels. */
export const MAX_JSON_DEPTH = 100;
/**
 * Maximum number of members of an object: keys are kept until the object ends, to find repeated ones.
 */
export const MAX_JSON_MEMBERS = 10_000;
/** Maximum length of a key and of a string that is kept, because it is decoded in one step. */
export const MAX_JSON_TEXT_BYTES = 4 * 1024 * 1024;
/** Maximum number of successive digits. JSON has no limit; values of manifests need at most 20. */
export const MAX_JSON_DIGITS = 1_000;

/** A list or an object that has not ended yet. */
interface Container {
  readonly isList: boolean;
  /** Undefined if nothing of it is kept. */
  readonly shape: JsonShape | undefined;
  readonly list: unknown[];
  readonly object: Record<string, unknown>;
  keys: Set<string> | undefined;
  /** The key of the current member. */
  key: string;
  items: number;
}

/** Placeholders for containers that are not kept. They stay empty. */
const NO_LIST: unknown[] = [];
const NO_OBJECT: Record<string, unknown> = {};

/**
 * Reads JSON (RFC 8259) piece by piece, so that no document blocks the process for long, and keeps only the
 * requested parts. It accepts the same as `JSON.parse`, except
 *
 * - a key that is repeated in one object, also if it is written differently (`"a"`, `"\u0061"`), at every
 *   level;
 * - a key that differs from one of `JsonShape.members` only in case: Go's parser treats them as equal;
 * - bytes that aren't UTF-8, and a byte order mark;
 * - documents beyond the limits above.
 *
 * Objects that are kept have no prototype, so a key `__proto__` is a key. Time and memory are linear in the
 * bytes.
 */
export class JsonReader {
  private readonly bytes: Buffer;
  private readonly open: Container[] = [];
  private current: Container | undefined;
  private expected: Expected = 'value';
  private at = 0;
  /** The start of the current string; -1 outside strings. */
  private textStart = -1;
  private textHasEscapes = false;
  private root: unknown;

  /** @throws JsonError if the bytes are not UTF-8. */
  constructor(
    bytes: Uint8Array,
    private readonly shape: JsonShape,
  ) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!isUtf8(bytes)) throw new JsonError(`not UTF-8, at byte ${firstByteOutsideUtf8(this.bytes)}`);
    if (this.bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)) {
      throw new JsonError('a byte order mark, at byte 0; send the JSON without it');
    }
  }

  /** The parts of the document that were kept; valid once `read` has returned true. */
  get value(): unknown {
    return this.root;
  }

  /**
   * Reads about `count` more bytes.
   *
   * @returns whether the document is complete.
   * @throws JsonError
   */
  read(count: number): boolean {
    const end = Math.min(this.at + count, this.bytes.length);
    while (this.at < end) {
      if (this.textStart >= 0) this.readText(end);
      else this.readToken(this.bytes[this.at]);
    }
    if (this.at < this.bytes.length) return false;
    if (this.textStart >= 0) throw this.unexpected(this.at, 'the end of a string');
    if (this.expected !== 'nothing') throw this.unexpected(this.at);
    return true;
  }

  private readToken(byte: number | undefined): void {
    switch (byte) {
      case SPACE:
      case TAB:
      case LINE_FEED:
      case CARRIAGE_RETURN:
        this.at += 1;
        return;
      case QUOTE:
        this.expect(this.isAtKey || this.isAtValue);
        this.at += 1;
        this.textStart = this.at;
        this.textHasEscapes = false;
        return;
      case COMMA:
        this.expect(this.expected === 'comma or end');
        this.at += 1;
        this.expected = this.current?.isList === true ? 'value' : 'key';
        return;
      case COLON:
        this.expect(this.expected === 'colon');
        this.at += 1;
        this.expected = 'value';
        return;
      case LIST_START:
      case OBJECT_START:
        this.expect(this.isAtValue);
        this.at += 1;
        this.begin(byte === LIST_START);
        return;
      case LIST_END:
      case OBJECT_END:
        this.end(byte === LIST_END);
        return;
      default:
        this.expect(this.isAtValue);
        this.readWord();
    }
  }

  private get isAtValue(): boolean {
    return this.expected === 'value' || this.expected === 'value or end';
  }

  private get isAtKey(): boolean {
    return this.expected === 'key' || this.expected === 'key or end';
  }

  private begin(isList: boolean): void {
    if (this.open.length >= MAX_JSON_DEPTH) {
      throw new JsonError(`nested more than ${MAX_JSON_DEPTH} levels deep, at byte ${this.at - 1}`);
    }
    const shape = this.countValue();
    const isKept = shape !== undefined;
    this.current = {
      isList,
      shape,
      list: isKept && isList ? [] : NO_LIST,
      object: isKept && !isList ? (Object.create(null) as Record<string, unknown>) : NO_OBJECT,
      keys: undefined,
      key: '',
      items: 0,
    };
    this.open.push(this.current);
    this.expected = isList ? 'value or end' : 'key or end';
  }

  private end(isList: boolean): void {
    const ended = this.current;
    const mayEnd =
      this.expected === 'comma or end' || this.expected === (isList ? 'value or end' : 'key or end');
    this.expect(mayEnd && ended?.isList === isList);
    this.at += 1;
    this.open.pop();
    this.current = this.open.at(-1);
    this.keep(isList ? ended?.list : ended?.object, ended?.shape);
  }

  /** Called at the start of a value. Returns the parts of it to keep. */
  private countValue(): JsonShape | undefined {
    const { current } = this;
    if (current === undefined) return this.shape;
    const { shape } = current;
    if (shape === undefined) return undefined;
    if (!current.isList) return shape.everyMember ?? shape.members?.get(current.key);
    current.items += 1;
    return shape.items;
  }

  /** Called at the end of a value. */
  private keep(value: unknown, shape: JsonShape | undefined): void {
    const { current } = this;
    this.expected = current === undefined ? 'nothing' : 'comma or end';
    if (shape === undefined) return;
    if (current === undefined) this.root = value;
    else if (!current.isList) current.object[current.key] = value;
    else if (current.shape?.onItem === undefined) current.list.push(value);
    else current.shape.onItem(value, current.items - 1);
  }

  private readText(end: number): void {
    const { bytes } = this;
    let at = this.at;
    while (at < end) {
      const byte = bytes[at] ?? 0;
      if (byte === QUOTE) {
        this.at = at + 1;
        this.endText(at);
        return;
      }
      if (byte < SPACE) throw this.unexpected(at, 'an escape instead');
      if (byte === BACKSLASH) {
        this.textHasEscapes = true;
        at += this.lengthOfEscape(at);
      } else {
        at += 1;
      }
    }
    this.at = at;
  }

  private lengthOfEscape(at: number): number {
    const next = this.bytes[at + 1] ?? 0;
    if (next !== LETTER_U) {
      if (!ESCAPED.includes(next)) throw this.unexpected(at + 1, 'an escape');
      return 2;
    }
    for (let digit = at + 2; digit < at + 6; digit += 1) {
      if (!isHexDigit(this.bytes[digit] ?? 0)) throw this.unexpected(digit, 'a hexadecimal digit');
    }
    return 6;
  }

  private endText(end: number): void {
    if (this.isAtKey) {
      this.endKey(this.decode(end));
    } else {
      const shape = this.countValue();
      this.keep(shape === undefined ? undefined : this.decode(end), shape);
    }
    this.textStart = -1;
  }

  private endKey(key: string): void {
    const { current } = this;
    if (current === undefined) return;
    current.keys ??= new Set();
    if (current.keys.has(key)) {
      throw new JsonError(`the key ${quoted(key)} is repeated in one object, at byte ${this.textStart - 1}`);
    }
    current.keys.add(key);
    if (current.keys.size > MAX_JSON_MEMBERS) {
      throw new JsonError(
        `an object has more than ${MAX_JSON_MEMBERS} members, at byte ${this.textStart - 1}`,
      );
    }
    const { members, folded } = current.shape ?? {};
    if (members?.has(key) === false) {
      const alike = folded?.get(foldCase(key));
      if (alike !== undefined) {
        throw new JsonError(`the key ${quoted(key)} differs from ${alike} only in case`);
      }
    }
    current.key = key;
    this.expected = 'colon';
  }

  private decode(end: number): string {
    if (end - this.textStart > MAX_JSON_TEXT_BYTES) {
      throw new JsonError(`a string is longer than ${MAX_JSON_TEXT_BYTES} bytes, at byte ${this.textStart}`);
    }
    const text = this.bytes.toString('utf8', this.textStart, end);
    // The escapes were checked and nothing is nested, so this takes linear time.
    return this.textHasEscapes ? String(JSON.parse(`"${text}"`)) : text;
  }

  /** Reads a number, true, false or null. */
  private readWord(): void {
    const start = this.at;
    for (const [word, value] of WORDS) {
      if (this.bytes[start] === word.charCodeAt(0)) {
        if (this.bytes.toString('latin1', start, start + word.length) !== word) throw this.unexpected(start);
        this.at += word.length;
        this.keep(value, this.countValue());
        return;
      }
    }
    const first = this.bytes[start] ?? 0;
    if (first !== MINUS && !isDigit(first)) throw this.unexpected(start);
    this.readNumber();
    const shape = this.countValue();
    this.keep(shape === undefined ? undefined : Number(this.bytes.toString('latin1', start, this.at)), shape);
  }

  private readNumber(): void {
    const { bytes } = this;
    if (bytes[this.at] === MINUS) this.at += 1;
    if (bytes[this.at] === ZERO) this.at += 1;
    else this.readDigits();
    if (bytes[this.at] === DOT) {
      this.at += 1;
      this.readDigits();
    }
    const letter = bytes[this.at];
    if (letter === LETTER_E || letter === CAPITAL_E) {
      this.at += 1;
      const sign = bytes[this.at];
      if (sign === PLUS || sign === MINUS) this.at += 1;
      this.readDigits();
    }
  }

  /** Reads one or more digits. Their number is limited, because they are read in one step. */
  private readDigits(): void {
    const { bytes, at: start } = this;
    let at = start;
    while (isDigit(bytes[at] ?? 0) && at - start <= MAX_JSON_DIGITS) at += 1;
    if (at === start) throw this.unexpected(start, 'a digit');
    if (at - start > MAX_JSON_DIGITS)
      throw new JsonError(`more than ${MAX_JSON_DIGITS} digits in a row, at byte ${start}`);
    this.at = at;
  }

  private expect(isExpected: boolean): void {
    if (!isExpected) throw this.unexpected(this.at);
  }

  private unexpected(
    at: number,
    expected = describeExpected(this.expected, this.current?.isList),
  ): JsonError {
    const byte = this.bytes[at];
    const found = byte === undefined ? 'it ends' : `found ${nameOf(byte)}`;
    return new JsonError(`not JSON: ${found} at byte ${at}, expected ${expected}`);
  }
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const CAPITAL_E = 0x45;
const LIST_START = 0x5b;
const BACKSLASH = 0x5c;
const LIST_END = 0x5d;
const LETTER_E = 0x65;
const LETTER_U = 0x75;
const OBJECT_START = 0x7b;
const OBJECT_END = 0x7d;

/** The characters that may follow a backslash, except the `u` of `\u0000`. */
const ESCAPED = Buffer.from('"\\/bfnrt');

const WORDS = Object.entries({ true: true, false: false, null: null });

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

function quoted(key: string): string {
  return JSON.stringify(key.length > 100 ? `${key.slice(0, 100)}…` : key);
}
