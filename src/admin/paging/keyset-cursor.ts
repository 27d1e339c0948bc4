import { BadRequestException } from '@nestjs/common';

/** Longer than the cursor of any key: a repository's name of 255 characters in base64url. */
export const MAX_CURSOR_LENGTH = 512;

/**
 * The cursors of one list: base64url of the list's name and the last key of the page before. Opaque to clients, and
 * accepted only as this list would have written it, so that what they mean can change.
 */
export class KeysetCursor<Key extends string> {
  /** @param parse throws unless the text is a key of the list. */
  constructor(
    private readonly list: string,
    private readonly parse: (text: string) => Key,
  ) {}

  encode(lastKey: Key): string {
    return Buffer.from(`${this.list}:${lastKey}`).toString('base64url');
  }

  /** The key after which to go on, or nothing for the first page. @throws BadRequestException */
  decode(cursor: string | undefined): Key | undefined {
    if (cursor === undefined) return undefined;
    const text = Buffer.from(cursor, 'base64url').toString();
    const key = this.keyIn(text);
    if (key === undefined || this.encode(key) !== cursor) {
      throw new BadRequestException('cursor: expected the nextCursor of a page of this list');
    }
    return key;
  }

  private keyIn(text: string): Key | undefined {
    try {
      return this.parse(text.slice(this.list.length + 1));
    } catch {
      return undefined;
    }
  }
}
