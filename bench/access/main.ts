import { perSecond } from '../cases/bench-case.js';
import { MANIFEST_TYPE } from '../load/jobs.js';
import { LoadGenerator } from '../load/load-generator.js';
import { parseOptions } from '../options.js';
import { median } from '../report/statistics.js';
import { markdownTable, numberText } from '../report/table.js';
import { builtMain } from '../run/built-berth.js';
import { Workspace } from '../run/workspace.js';
import { freePort } from '../servers/free-port.js';
import { AccessServer } from './access-server.js';

const CONNECTIONS = [1, 32, 128];
const WAYS = ['open', 'Bearer', 'Basic'] as const;

/**
 * What access control costs: GETs of a small manifest by tag, with a token and with Basic, against the same
 * with open access. Two servers run at the same time, and get the load in turn. The options of `npm run
 * bench` for rounds, seconds, workers, build and directory apply.
 */
async function main(): Promise<void> {
  const { rounds, seconds, workers, dist, directory } = parseOptions(process.argv.slice(2));
  const built = await builtMain(dist);
  const workspace = await Workspace.open(directory);
  workspace.disposeOnSignals();
  try {
    const generator = LoadGenerator.start();
    workspace.add(() => generator.stop());
    const start = async (mode: 'open' | 'token') => {
      const data = await workspace.newDirectory(mode);
      const server = new AccessServer(built, data, await freePort(), workers, mode);
      workspace.add(() => server.stop());
      return { server, bodyBytes: await server.start() };
    };
    const [open, token] = [await start('open'), await start('token')];
    const authorizations = { open: undefined, ...(await token.server.authorizations()) };

    const measure = async (way: (typeof WAYS)[number], connections: number): Promise<number> => {
      const { server, bodyBytes } = way === 'open' ? open : token;
      const authorization = authorizations[way];
      const headers = {
        Accept: MANIFEST_TYPE,
        ...(authorization !== undefined && { Authorization: authorization }),
      };
      const request = { method: 'GET', path: server.path, status: 200, bodyBytes, headers } as const;
      const { port } = server;
      const job = { kind: 'requests', port, connections, seconds, requests: [request] } as const;
      return perSecond(await generator.run(job)).value;
    };

    const rows: string[][] = [];
    for (const connections of CONNECTIONS) {
      const rates: Record<(typeof WAYS)[number], number[]> = { open: [], Bearer: [], Basic: [] };
      // The first round is a warm-up.
      for (let round = 0; round <= rounds; round += 1) {
        for (const way of round % 2 === 0 ? WAYS : [...WAYS].reverse()) {
          const rate = await measure(way, connections);
          if (round > 0) rates[way].push(rate);
        }
      }
      const ratio = (way: 'Bearer' | 'Basic') =>
        median(rates[way].map((rate, index) => rate / (rates.open[index] ?? NaN)));
      rows.push([
        ...[String(connections), ...WAYS.map((way) => numberText(median(rates[way])))],
        ...[numberText(ratio('Bearer')), numberText(ratio('Basic'))],
      ]);
    }
    const header = ['connections', ...WAYS, 'Bearer / open', 'Basic / open'];
    process.stdout.write(`manifest GET by tag, requests/s\n\n${markdownTable(header, rows)}`);
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
