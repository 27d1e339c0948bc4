import fc from 'fast-check';
import { digestOf } from '../../src/oci/digest.js';
import { patternBytes } from '../support/upload-probe.js';
import { ask, type ClientAnswer, type ClientBody, type ClientRequest } from './front-client.js';

/** How a client sends a body. */
interface Sending {
  readonly pieces: readonly number[];
  readonly isChunked: boolean;
  readonly isExpecting: boolean;
}

type Form =
  | 'POST'
  | 'PUT'
  | 'PATCHes'
  | 'PATCHes with ranges'
  | 'PATCHes and last chunk'
  /** The session stays. */
  | 'PATCHes without an end';

/** A push in one of the forms that clients use. */
interface Push {
  readonly do: 'push';
  readonly form: Form;
  readonly sizeBytes: number;
  /** How many PATCHes there are. */
  readonly patches: number;
  readonly sending: Sending;
  /** Whether the client uses Locations as they are, or without their query. */
  readonly keepsQuery: boolean;
  readonly mistake: 'none' | 'digest' | 'offset' | 'repetition';
}

type Step =
  | Push
  | { readonly do: 'cancel'; readonly sizeBytes: number; readonly sending: Sending }
  | { readonly do: 'push a manifest'; readonly tag: string; readonly sending: Sending }
  | { readonly do: 'pull a manifest' | 'delete a tag'; readonly tag: string }
  | { readonly do: 'pull'; readonly which: number; readonly range: string | undefined }
  | { readonly do: 'delete' | 'mount'; readonly which: number };

/** What one client does, one request after the other, in a repository of its own. */
export type ClientPlan = readonly Step[];

const sending: fc.Arbitrary<Sending> = fc.record({
  pieces: fc.array(fc.constantFrom(1, 7, 64, 333, 5_000, 70_000, 400_000), { minLength: 1, maxLength: 4 }),
  isChunked: fc.boolean(),
  isExpecting: fc.constantFrom(false, false, false, true),
});
const smallSize = fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: 3, max: 2_000 }));
/** Beyond what a front keeps whole. */
const largeSize = fc.integer({ min: 1_048_577, max: 1_600_000 });

const push: fc.Arbitrary<Push> = fc.record({
  do: fc.constant('push'),
  form: fc.constantFrom(
    ...(['POST', 'PUT', 'PATCHes', 'PATCHes', 'PATCHes with ranges', 'PATCHes and last chunk'] as const),
    'PATCHes without an end',
  ),
  sizeBytes: fc.oneof({ weight: 7, arbitrary: smallSize }, { weight: 1, arbitrary: largeSize }),
  patches: fc.integer({ min: 1, max: 3 }),
  sending,
  keepsQuery: fc.boolean(),
  mistake: fc.constantFrom('none', 'none', 'none', 'none', 'none', 'digest', 'offset', 'repetition'),
});

const tag = fc.constantFrom('a', 'b');
const which = fc.nat(3);

export const pull = fc.record({
  do: fc.constant('pull' as const),
  which,
  range: fc.constantFrom(undefined, undefined, 'bytes=0-', 'bytes=100-300', 'bytes=-5', 'bytes=3000000-'),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: push },
  fc.record({ do: fc.constant('cancel' as const), sizeBytes: smallSize, sending }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('push a manifest' as const), tag, sending }) },
  fc.record({ do: fc.constantFrom('pull a manifest' as const, 'delete a tag' as const), tag }),
  pull,
  fc.record({ do: fc.constantFrom('delete' as const, 'mount' as const), which }),
);

/** A push whose length is not known before its end. */
export const streamedPush = (sizeBytes: number, pieceBytes: number): Push => ({
  ...{ do: 'push', form: 'PATCHes', sizeBytes, patches: 1, keepsQuery: false, mistake: 'none' },
  sending: { pieces: [pieceBytes], isChunked: true, isExpecting: false },
});

export const clientPlan: fc.Arbitrary<ClientPlan> = fc.array(step, { minLength: 1, maxLength: 5 });

/** An answer without what differs between runs. */
export interface SeenAnswer {
  readonly request: string;
  /** Interim responses that the client has not asked for. */
  readonly unasked: readonly number[];
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const COMPARED = [
  ...['location', 'range', 'upload-offset', 'docker-content-digest', 'content-type', 'content-range'],
  ...['content-length', 'etag', 'accept-ranges'],
];
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** A client that plays a plan and keeps what it saw. */
export class PlannedClient {
  readonly seen: SeenAnswer[] = [];
  private readonly digests: string[] = [];
  private contents = 0;

  constructor(
    private readonly url: string,
    private readonly repository: string,
  ) {}

  async play(plan: ClientPlan): Promise<void> {
    for (const step of plan) await this.step(step);
  }

  private async step(step: Step): Promise<unknown> {
    const base = `/v2/${this.repository}`;
    switch (step.do) {
      case 'push':
        return this.push(step);
      case 'cancel':
        return this.cancel(step.sizeBytes, step.sending);
      case 'push a manifest': {
        const body = { bytes: this.content(300), ...step.sending };
        const headers = [['Content-Type', 'application/vnd.oci.image.manifest.v1+json']] as const;
        return this.ask({ method: 'PUT', target: `${base}/manifests/${step.tag}`, headers, body });
      }
      case 'pull a manifest':
        return this.ask({ method: 'GET', target: `${base}/manifests/${step.tag}` });
      case 'delete a tag':
        return this.ask({ method: 'DELETE', target: `${base}/manifests/${step.tag}` });
      case 'pull': {
        const headers = step.range === undefined ? [] : [['Range', step.range] as const];
        return this.ask({ method: 'GET', target: `${base}/blobs/${this.digest(step.which)}`, headers });
      }
      case 'delete':
        return this.ask({ method: 'DELETE', target: `${base}/blobs/${this.digest(step.which)}` });
      case 'mount': {
        const query = `mount=${this.digest(step.which)}&from=${this.repository}`;
        return this.ask({ method: 'POST', target: `${base}-mounted/blobs/uploads/?${query}` });
      }
    }
  }

  private async push(push: Push): Promise<void> {
    const bytes = this.content(push.sizeBytes);
    const right = digestOf('sha256', bytes);
    const digest = push.mistake === 'digest' ? digestOf('sha256', Buffer.from('other')) : right;
    const uploads = `/v2/${this.repository}/blobs/uploads/`;
    this.digests.push(right);
    if (push.form === 'POST') {
      const body = { bytes, ...push.sending };
      await this.ask({ method: 'POST', target: `${uploads}?digest=${digest}`, body });
      return;
    }
    const session = new PushedSession(push, await this.ask({ method: 'POST', target: uploads }));
    const inPatches = push.form === 'PUT' ? 0 : push.patches;
    const count = inPatches + (push.form === 'PUT' || push.form === 'PATCHes and last chunk' ? 1 : 0);
    const size = Math.ceil(bytes.length / count);
    for (let n = 0; n < inPatches; n += 1) {
      const request = session.patch(bytes.subarray(n * size, (n + 1) * size), n * size);
      if (push.mistake === 'offset')
        session.follow(await this.ask(session.patch(Buffer.from('x'), bytes.length + 1)));
      session.follow(await this.ask(request));
      if (push.mistake === 'repetition' && n === 0 && session.isRecognised) await this.ask(request);
    }
    const rest = count > inPatches ? bytes.subarray(inPatches * size) : undefined;
    if (push.form === 'PATCHes without an end') return;
    const put = session.put(digest, rest, inPatches * size);
    await this.ask(put);
    if (push.mistake === 'repetition') await this.ask(put);
  }

  private async cancel(sizeBytes: number, sending: Sending): Promise<void> {
    const target = `/v2/${this.repository}/blobs/uploads/`;
    const started = await this.ask({ method: 'POST', target });
    const session = { method: 'DELETE', target: started.headers.get('location') ?? '' };
    await this.ask({ ...session, method: 'PATCH', body: { bytes: this.content(sizeBytes), ...sending } });
    await this.ask({ ...session, method: 'GET' });
    await this.ask(session);
    await this.ask({ ...session, method: 'GET' });
  }

  /** Different for each call, and at each offset. */
  private content(sizeBytes: number): Buffer {
    this.contents += 1;
    return patternBytes(sizeBytes, this.contents);
  }

  private digest(which: number): string {
    const unknown = digestOf('sha256', Buffer.from('unknown'));
    return this.digests.at(which % Math.max(this.digests.length, 1)) ?? unknown;
  }

  private async ask(request: ClientRequest): Promise<ClientAnswer> {
    const answer = await ask(this.url, request);
    const { interims, status, headers, body } = answer;
    const compared = COMPARED.flatMap((name) => {
      const value = headers.get(name);
      return value === null ? [] : [[name, value.replace(UUID, '<id>')]];
    });
    this.seen.push({
      request: `${request.method} ${request.target.replace(UUID, '<id>')}`,
      unasked: interims.filter((interim) => interim !== 100 || request.body?.isExpecting !== true),
      status,
      headers: Object.fromEntries(compared) as Record<string, string>,
      body: body.length > 100 ? digestOf('sha256', body) : body.toString('latin1'),
    });
    return answer;
  }
}

/** Where a client sends the bytes of a push, from its last answer on. */
class PushedSession {
  private location = '';

  constructor(
    private readonly push: Push,
    started: ClientAnswer,
  ) {
    this.follow(started);
  }

  /**
   * Whether a replica recognises that the first body is repeated. A later body, or one with a range, may be
   * recognised or refused, depending on where a fault made the front go on.
   */
  get isRecognised(): boolean {
    return this.push.form !== 'PATCHes with ranges';
  }

  follow({ headers }: ClientAnswer): void {
    const location = headers.get('location') ?? this.location;
    this.location = this.push.keepsQuery ? location : location.replace(/\?.*/, '');
  }

  patch(bytes: Buffer, start: number): ClientRequest {
    const { form, mistake } = this.push;
    const states = form === 'PATCHes with ranges' || (mistake === 'offset' && bytes.length === 1);
    const range = [['Content-Range', `${start}-${start + bytes.length - 1}`]] as const;
    const headers = states && bytes.length > 0 ? range : [];
    return { method: 'PATCH', target: this.location, headers, body: this.body(bytes) };
  }

  put(digest: string, bytes: Buffer | undefined, start: number): ClientRequest {
    const target = `${this.location}${this.location.includes('?') ? '&' : '?'}digest=${digest}`;
    if (bytes === undefined) return { method: 'PUT', target };
    const states = this.push.keepsQuery && bytes.length > 0;
    const range = [['Content-Range', `${start}-${start + bytes.length - 1}`]] as const;
    return { method: 'PUT', target, headers: states ? range : [], body: this.body(bytes) };
  }

  private body(bytes: Buffer): ClientBody {
    return { bytes, ...this.push.sending };
  }
}
