import { BadRequestException } from '@nestjs/common';
import type { Page } from '../../database/page.js';

/** Longer than any cursor: a repository name has up to 255 characters, a third more in base64url. */
export const MAX_CURSOR_LENGTH = 512;

/**
 * The cursors of one list: base64url of the list's name and the last key of the previous page. Opaque to
 * clients. Only the exact text that `encode` returns is accepted, so the format can change later.
 */
export class KeysetCursor<Key extends string> {
  /** @param parse throws if the text is not a key of the list. */
  constructor(
    private readonly list: string,
    private readonly parse: (text: string) => Key,
  ) {}

  encode(lastKey: Key): string {
    return Buffer.from(`${this.list}:${lastKey}`).toString('base64url');
  }

  /** The last key of the previous page; undefined for the first page. @throws BadRequestException */
  decode(cursor: string | undefined): Key | undefined {
    if (cursor === undefined) return undefined;
    const text = Buffer.from(cursor, 'base64url').toString();
    const key = this.keyIn(text);
    if (key === undefined || this.encode(key) !== cursor) {
      throw new BadRequestException(
        'cursor: expected the nextCursor of a page of this list, with the same sort',
      );
    }
    return key;
  }

  /** The page as the API returns it. `nextCursor` is null on the last page. */
  pageDto<Item>({ items, more }: Page<Item>, keyOf: (item: Item) => Key) {
    const last = items.at(-1);
    return { items, nextCursor: more && last !== undefined ? this.encode(keyOf(last)) : null };
  }

  private keyIn(text: string): Key | undefined {
    try {
      return this.parse(text.slice(this.list.length + 1));
    } catch {
      return undefined;
    }
  }
}
