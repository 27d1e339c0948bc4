import { createHash } from 'node:crypto';
import { crc32c } from './crc32c.js';
import { GcsHttpError } from './gcs-http-error.js';

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
export interface GcsObject {
  readonly name: string;
  /** Its bytes in order. A composition shares the chunks of its sources. */
  readonly chunks: readonly Buffer[];
  readonly sizeBytes: number;
  readonly generation: bigint;
  readonly contentType: string | undefined;
  readonly timeCreated: Date;
  /** Composite objects have none: https://cloud.google.com/storage/docs/composite-objects */
  readonly md5Hash: string | undefined;
  readonly componentCount: number | undefined;
}

export interface GcsMetadata {
  readonly name?: string;
  readonly contentType?: string;
  readonly md5Hash?: string;
  readonly crc32c?: string;
}

/** The generation that an object must have; 0 means that it must not exist. */
export type GenerationMatch = bigint | undefined;

/** https://cloud.google.com/storage/docs/composing-objects: 1 to 32 sources a request. */
const MAX_SOURCES = 32;
const MAX_NAME_BYTES = 1024;

/** Objects in memory. Like Google's, each request sees the effect of the one before. */
export class GcsBucket {
  private readonly objects = new Map<string, GcsObject>();
  private latestGeneration = 0n;

  constructor(readonly name: string) {}

  get(name: string, match?: GenerationMatch): GcsObject {
    const object = this.objects.get(name);
    if (!object) throw GcsHttpError.noObject(this.name, name);
    if (match !== undefined && match !== object.generation) throw GcsHttpError.conditionNotMet();
    return object;
  }

  /**
   * https://cloud.google.com/storage/docs/json_api/v1/objects/insert
   * Refuses wrong checksums: https://cloud.google.com/storage/docs/data-validation
   */
  insert(name: string, bytes: Buffer, metadata: GcsMetadata, match: GenerationMatch): GcsObject {
    checkName(name);
    const md5Hash = createHash('md5').update(bytes).digest('base64');
    checkHash('MD5', metadata.md5Hash, () => md5Hash);
    checkHash('CRC32C', metadata.crc32c, () => crc32c([bytes]));
    this.checkMatch(name, match);
    const { contentType } = metadata;
    return this.keep({ name, chunks: [bytes], contentType, md5Hash, componentCount: undefined });
  }

  /** https://cloud.google.com/storage/docs/json_api/v1/objects/compose */
  compose(
    name: string,
    sources: readonly { name: string; generation?: string | number }[],
    { contentType }: GcsMetadata,
    match: GenerationMatch,
  ): GcsObject {
    checkName(name);
    if (sources.length === 0)
      throw new GcsHttpError(400, 'required', 'You must provide at least one source component.');
    if (sources.length > MAX_SOURCES) {
      throw GcsHttpError.invalid(
        `The number of source components provided (${sources.length}) exceeds the maximum (${MAX_SOURCES})`,
      );
    }
    const found = sources.map((source) =>
      this.get(source.name, source.generation === undefined ? undefined : BigInt(source.generation)),
    );
    this.checkMatch(name, match);
    return this.keep({
      name,
      chunks: found.flatMap(({ chunks }) => chunks),
      contentType,
      md5Hash: undefined,
      componentCount: found.reduce((sum, source) => sum + (source.componentCount ?? 1), 0),
    });
  }

  delete(name: string, match: GenerationMatch): void {
    this.get(name, match);
    this.objects.delete(name);
  }

  /** Sorted by name in UTF-8: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
  list(prefix: string, after: string | undefined, limit: number): { items: GcsObject[]; more: boolean } {
    const names = [...this.objects.keys()]
      .filter((name) => name.startsWith(prefix) && (after === undefined || name > after))
      .sort();
    return { items: names.slice(0, limit).map((name) => this.get(name)), more: names.length > limit };
  }

  private checkMatch(name: string, match: GenerationMatch): void {
    if (match !== undefined && match !== (this.objects.get(name)?.generation ?? 0n)) {
      throw GcsHttpError.conditionNotMet();
    }
  }

  private keep(fields: Omit<GcsObject, 'generation' | 'timeCreated' | 'sizeBytes'>): GcsObject {
    const now = BigInt(Date.now()) * 1000n;
    this.latestGeneration = now > this.latestGeneration ? now : this.latestGeneration + 1n;
    const sizeBytes = fields.chunks.reduce((sum, { length }) => sum + length, 0);
    const object = { ...fields, sizeBytes, generation: this.latestGeneration, timeCreated: new Date() };
    this.objects.set(fields.name, object);
    return object;
  }
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource-representations */
export function metadataOf(bucket: GcsBucket, object: GcsObject): Record<string, unknown> {
  const { name, contentType, md5Hash, componentCount } = object;
  const generation = String(object.generation);
  const time = object.timeCreated.toISOString();
  return {
    kind: 'storage#object',
    id: `${bucket.name}/${name}/${generation}`,
    name,
    bucket: bucket.name,
    generation,
    metageneration: '1',
    contentType,
    storageClass: 'STANDARD',
    size: String(object.sizeBytes),
    md5Hash,
    crc32c: crc32c(object.chunks),
    componentCount,
    timeCreated: time,
    updated: time,
  };
}

function checkHash(kind: string, given: string | undefined, calculate: () => string): void {
  if (given === undefined) return;
  const calculated = calculate();
  if (given !== calculated) {
    throw GcsHttpError.invalid(
      `Provided ${kind} hash "${given}" doesn't match calculated ${kind} hash "${calculated}".`,
    );
  }
}

/** https://cloud.google.com/storage/docs/objects#naming */
function checkName(name: string): void {
  const isName = name !== '' && name !== '.' && name !== '..' && !/[\r\n]/.test(name);
  if (!isName || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw GcsHttpError.invalid('The specified object name is not valid.');
  }
}
