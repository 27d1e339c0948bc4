import { VERSION } from '../common/version.js';

/** What a front prints on a terminal when it is ready. */
export function frontBanner(facts: {
  readonly url: string;
  readonly metricsUrl?: string | undefined;
  readonly replicas: readonly string[];
  readonly startSeconds: number;
}): string {
  const { url, metricsUrl, replicas, startSeconds } = facts;
  return [
    `Berth ${VERSION}, a front`,
    `  registry  ${url}/v2/`,
    ...replicas.map((replica, index) => `  ${(index === 0 ? 'replicas' : '').padEnd(8)}  ${replica}`),
    ...(metricsUrl === undefined ? [] : [`  metrics   ${metricsUrl}`]),
    '',
    `Started in ${startSeconds.toFixed(1)} s as process ${process.pid}. Stop it with Ctrl-C.`,
    '',
    '',
  ].join('\n');
}
