import type { SlowRequest } from './slow-request.js';
import { until } from './until.js';
import { UploadProbe } from './upload-probe.js';

const PIECE_BYTES = 100;
const PAUSE_MS = 100;

/** An upload of which some bytes arrive all the time, so that it never counts as stalled. */
export class MovingUpload {
  private sent = 0;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    readonly upload: UploadProbe,
    private readonly patch: SlowRequest,
    private readonly whole: Uint8Array,
  ) {
    this.timer = setInterval(() => this.sendPiece(), PAUSE_MS);
    void patch.status.then(() => clearInterval(this.timer));
  }

  /** Resolves when the first bytes are in the storage of the Berth on `dataDir`. */
  static async begin(url: string, dataDir: string, whole: Uint8Array): Promise<MovingUpload> {
    const upload = await UploadProbe.begin(url, dataDir);
    const moving = new MovingUpload(upload, upload.patch(url), whole);
    await until('bytes in storage', async () => (await upload.written()) > 0);
    return moving;
  }

  /** The status of the response. */
  get status(): Promise<number | undefined> {
    return this.patch.status;
  }

  /** Sends the rest, and returns the status of the response. */
  async finish(): Promise<number | undefined> {
    clearInterval(this.timer);
    await this.patch.send(this.whole.subarray(this.sent));
    this.patch.end();
    return this.status;
  }

  private sendPiece(): void {
    const piece = this.whole.subarray(this.sent, this.sent + PIECE_BYTES);
    this.sent += piece.length;
    if (piece.length > 0) void this.patch.send(piece);
  }
}
