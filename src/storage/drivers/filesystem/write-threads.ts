import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** As many as the thread pool of Node has for all calls of the file system. */
const MAX_THREADS = 4;
/** What a thread needs is small. The limits keep V8 from reserving more. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 };

/** Bytes to write, in memory that threads share. */
interface Order {
  readonly id: number;
  readonly descriptor: number;
  readonly bytes: Uint8Array;
  readonly position: number;
}

/** The properties of a system error. Threads send errors to each other without them. */
type Failure = Pick<NodeJS.ErrnoException, 'message' | 'code' | 'errno' | 'syscall'>;

interface Outcome {
  readonly id: number;
  readonly failure?: Failure;
}

interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Threads that write pieces of up to some MiB in small system calls, one message for each piece. A large
 * write makes Linux allocate large folios for its page cache. On virtual machines that take their memory from
 * the host when it is first used, this costs up to ten times the processor time of the copy: free memory in
 * large blocks is memory that nothing has used yet.
 */
export class WriteThreads {
  private threads: WriteThread[] = [];

  /** @param bytes in a `SharedArrayBuffer`. They must not change until the promise settles. */
  write(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
    return this.choose().write(descriptor, bytes, position);
  }

  private choose(): WriteThread {
    const idle = this.threads.find(({ load }) => load === 0);
    if (idle !== undefined) return idle;
    if (this.threads.length < Math.min(MAX_THREADS, availableParallelism())) return this.start();
    return this.threads.reduce((one, other) => (other.load < one.load ? other : one));
  }

  private start(): WriteThread {
    const thread = new WriteThread(() => this.remove(thread));
    this.threads.push(thread);
    return thread;
  }

  private remove(thread: WriteThread): void {
    this.threads = this.threads.filter((other) => other !== thread);
  }
}

class WriteThread {
  private readonly pending = new Map<number, Pending>();
  private readonly worker: Worker;
  private lastId = 0;

  constructor(private readonly onEnd: () => void) {
    // A file of its own would have to be found from the sources as well as from the build.
    this.worker = new Worker(`(${serveOrders.toString()})()`, {
      eval: true,
      execArgv: [],
      name: 'file writes',
      resourceLimits: RESOURCE_LIMITS,
    });
    this.worker.on('message', (outcome: Outcome) => this.settle(outcome));
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', () => this.fail(new Error('a thread that writes files ended')));
    // Only now: a listener for messages keeps the process alive again.
    this.worker.unref();
  }

  /** The number of writes that have not settled. */
  get load(): number {
    return this.pending.size;
  }

  write(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
    const id = (this.lastId += 1);
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ id, descriptor, bytes, position } satisfies Order);
    });
  }

  private settle({ id, failure }: Outcome): void {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    if (failure === undefined) pending?.resolve();
    else pending?.reject(Object.assign(new Error(failure.message), failure));
  }

  private fail(error: Error): void {
    this.onEnd();
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }
}

/** Runs in a thread of its own, from its source: it can use nothing outside of it. */
function serveOrders(): void {
  const sliceBytes = 64 * 1024;
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  const { writeSync } = process.getBuiltinModule('node:fs');

  const write = ({ descriptor, bytes, position }: Order): void => {
    for (let done = 0; done < bytes.length;) {
      const written = writeSync(
        descriptor,
        bytes,
        done,
        Math.min(sliceBytes, bytes.length - done),
        position + done,
      );
      if (written === 0) throw new Error('the file accepts no more bytes');
      done += written;
    }
  };

  parentPort?.on('message', (order: Order) => {
    try {
      write(order);
      parentPort.postMessage({ id: order.id });
    } catch (error) {
      const { message, code, errno, syscall } = error as NodeJS.ErrnoException;
      parentPort.postMessage({ id: order.id, failure: { message, code, errno, syscall } });
    }
  });
}
