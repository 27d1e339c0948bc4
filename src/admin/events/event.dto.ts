import { ApiProperty } from '@nestjs/swagger';
import type { TagEventKind, UploadEventKind } from '../../events/events.js';
import { EXAMPLE_MANIFEST_DIGEST, EXAMPLE_REPLICA, EXAMPLE_TAG, EXAMPLE_TIME } from '../../oci/examples.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

/** The kinds and their descriptions. */
const TAG_EVENT_KINDS: Readonly<Record<TagEventKind, string>> = {
  created: 'the tag was new',
  moved: 'it points at another manifest now',
  deleted: 'it was deleted, alone or with its manifest',
};

const UPLOAD_EVENT_KINDS: Readonly<Record<UploadEventKind, string>> = {
  started: 'the session was created',
  resumed: 'another replica than the last one continued it',
  takeover: 'a request took it over from a writer that never released it',
  conflict: 'a request found another writer and asked it to release the session',
  fenced: 'a writer lost it to another request',
  checkpoint: 'progress became durable (a sample)',
  disconnected: "the client's connection broke, or the body stalled",
  digest_mismatch: 'the bytes do not have the digest that the client named',
  failed: 'a request failed for another reason, which `detail` names',
  committed: 'it became a blob',
  cancelled: 'it was cancelled',
  expired: 'it had no activity for `UPLOAD_TTL_SECONDS`',
};

const kindProperty = (kinds: Readonly<Record<string, string>>, enumName: string) => ({
  enum: Object.keys(kinds),
  enumName,
  description: Object.entries(kinds)
    .map(([kind, meaning]) => `\`${kind}\`: ${meaning}`)
    .join('; '),
});

/** Who caused an event, and when. */
class EventDto {
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The name of the caller; null if unknown',
    example: null,
  })
  actor: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '127.0.0.1',
    description: 'The address of the client; null if unknown, or without a request',
  })
  clientAddress: string | null;

  @ApiProperty({ example: EXAMPLE_TIME })
  happenedAt: Date;
}

const DIGEST = { type: String, nullable: true } as const;

export class TagEventDto extends EventDto {
  @ApiProperty({ example: EXAMPLE_TAG })
  tag: string;

  @ApiProperty(kindProperty(TAG_EVENT_KINDS, 'TagEventKind'))
  kind: TagEventKind;

  @ApiProperty({
    ...DIGEST,
    example: null,
    description: 'The manifest that it pointed at before; null if it was new',
  })
  fromDigest: string | null;

  @ApiProperty({
    ...DIGEST,
    example: EXAMPLE_MANIFEST_DIGEST,
    description: 'The manifest that it pointed at after; null if it was deleted',
  })
  toDigest: string | null;
}

export class TagEventPageDto {
  @ApiProperty({ type: [TagEventDto] })
  items: TagEventDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class UploadEventDto extends EventDto {
  @ApiProperty(kindProperty(UPLOAD_EVENT_KINDS, 'UploadEventKind'))
  kind: UploadEventKind;

  @ApiProperty({
    type: 'integer',
    format: 'int64',
    minimum: 0,
    example: 33_554_432,
    description: 'Bytes stored durably at that time',
  })
  offsetBytes: number;

  @ApiProperty({
    description: 'The process in which it happened: `<host>/<process id>/<uuid>`',
    example: EXAMPLE_REPLICA,
  })
  replica: string;

  @ApiProperty({
    type: Number,
    nullable: true,
    example: 12.5,
    description: 'Seconds since the request acquired the session; null if none did',
  })
  durationSeconds: number | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      'For `failed`, `disconnected`, `digest_mismatch` and `fenced`, the class of the error; ' +
      'for `conflict`, the replica of the other writer; else null',
    example: null,
  })
  detail: string | null;
}

export class UploadEventPageDto {
  @ApiProperty({ type: [UploadEventDto] })
  items: UploadEventDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
