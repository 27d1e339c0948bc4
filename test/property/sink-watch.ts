import type {
  DriverUpload,
  DriverUploadState,
  StorageDriver,
  UploadSink,
} from '../../src/storage/storage-driver.js';
import { interposed, overriding } from './interposed.js';

/**
 * Holds the callers of all drivers of one medium to the contract: of a state, and of those that came of it by
 * flushing, the sink that was opened last is the only one that is written to. A fence starts a new series of
 * states.
 */
export class SinkWatch {
  /** Violations by the callers. */
  readonly violations: string[] = [];
  /** Since which fence a state has been written. */
  private readonly eras = new Map<string, symbol>();
  private readonly latest = new Map<symbol, symbol>();

  watch(driver: StorageDriver): StorageDriver {
    return overriding<StorageDriver>(driver, {
      createUpload: async (id, options) => this.begin(id, await driver.createUpload(id, options)),
      fenceUpload: async (upload, options) =>
        this.begin(upload.id, await driver.fenceUpload(upload, options)),
      openUpload: async (upload, offsetBytes, options) => {
        const sink = await driver.openUpload(upload, offsetBytes, options);
        const era = this.eras.get(keyOf(upload)) ?? Symbol('unknown');
        const mine = Symbol('sink');
        this.latest.set(era, mine);
        const flush = async (...options: Parameters<UploadSink['flush']>) => {
          const state = await sink.flush(...options);
          this.eras.set(keyOf({ id: upload.id, state }), era);
          return state;
        };
        return interposed(overriding(sink, { flush }), ['write', 'flush'], async (call, work) => {
          if (this.latest.get(era) !== mine)
            this.violations.push(`${call} to a sink after the next was opened`);
          return work();
        });
      },
    });
  }

  private begin(id: string, state: DriverUploadState): DriverUploadState {
    this.eras.set(keyOf({ id, state }), Symbol('era'));
    return state;
  }
}

/** Independent of the order of fields, which a row does not keep. */
function keyOf({ id, state }: DriverUpload): string {
  const sorted = (_name: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value;
  return `${id} ${JSON.stringify(state, sorted)}`;
}
