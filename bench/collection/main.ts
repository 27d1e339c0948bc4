import { LoadGenerator } from '../load/load-generator.js';
import { parseOptions } from '../options.js';
import { builtMain } from '../run/built-berth.js';
import { Workspace } from '../run/workspace.js';
import { freePort } from '../servers/free-port.js';
import { findPeer, PeerServer } from '../servers/peer.server.js';
import { againstPeer } from './against-peer.js';
import { CollectingBerth } from './collecting-berth.js';
import { PushesBeside } from './pushes-beside.js';

const GARBAGE = { images: 300, layers: 5, layerBytes: 64 * 1024 };
const QUICK_GARBAGE = { images: 10, layers: 2, layerBytes: 4096 };

/**
 * What a collection costs: pushes beside it, and the same garbage collected by the peer's program while
 * clients push. The options of `npm run bench` for rounds, seconds, workers, build, peer and directory apply.
 */
async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const { rounds, seconds, workers, quick } = options;
  const built = await builtMain(options.dist);
  const workspace = await Workspace.open(options.directory);
  workspace.disposeOnSignals();
  try {
    const generator = LoadGenerator.start();
    workspace.add(() => generator.stop());
    const start = async (settings: Record<string, string> = {}) => {
      const directory = await workspace.newDirectory('berth');
      const berth = new CollectingBerth(built, directory, await freePort(), workers, settings);
      const stop = workspace.add(() => berth.server.stop());
      await berth.server.start();
      return { berth, stop };
    };
    const { berth, stop } = await start();
    process.stdout.write(`${await new PushesBeside(berth, generator, seconds).run(rounds)}\n`);
    await stop();

    const program = options.peer === undefined ? undefined : await findPeer(options.peer);
    if (program === undefined) return;
    const peer = new PeerServer(program, await workspace.newDirectory('peer'), await freePort());
    workspace.add(() => peer.stop());
    await peer.start();
    // As fast as it can, as the peer does.
    const fast = await start({ GC_OBJECT_DELETIONS_PER_SECOND: '100000' });
    const size = quick ? QUICK_GARBAGE : GARBAGE;
    process.stdout.write(`${await againstPeer(fast.berth, peer, program.path, generator, size)}\n`);
  } finally {
    await workspace.dispose();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
