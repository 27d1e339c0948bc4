import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { authorityOf } from '../support/https-client.js';
import { runDirectory } from '../support/once-per-run.js';
import { Prometheus } from '../support/prometheus.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { describeWithClients } from '../support/registry-tool.js';
import { OwnBerth, startFront } from '../support/running-berth.js';
import { until } from '../support/until.js';

/** So short that the test sees uploads expire and the collector run. */
const REPLICA = { TLS: 'auto', WORKERS: '2', UPLOAD_TTL_SECONDS: '5', GC_INTERVAL_SECONDS: '1' };

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

describeWithClients('Prometheus with the files of deploy', ['prometheus', 'promtool'], () => {
  let replica: OwnBerth;
  let front: OwnBerth;
  let prometheus: Prometheus;
  let isDriving = true;
  let driving: Promise<void>;

  beforeAll(async () => {
    replica = await OwnBerth.start({ ...REPLICA, METRICS_ADDRESS: '127.0.0.1:0' });
    const authority = join(mkdtempSync(join(runDirectory(), 'prometheus-')), 'ca.crt');
    writeFileSync(authority, await authorityOf(replica.url));
    const settings = { METRICS_ADDRESS: '127.0.0.1:0', NODE_EXTRA_CA_CERTS: authority };
    front = await startFront([replica.url], settings);
    prometheus = await Prometheus.start([metricsHost(replica), metricsHost(front)]);
    driving = drive(new RegistryClient(front.url));
  });
  afterAll(async () => {
    isDriving = false;
    await driving;
    await prometheus.stop();
    await front.dispose();
    await replica.dispose();
  });

  /** Pushes and pulls images, and leaves uploads alone, until the tests are done. */
  async function drive(client: RegistryClient): Promise<void> {
    while (isDriving) {
      const layer = randomBytes(200_000);
      const path = `/v2/metrics/app/blobs/uploads/?digest=${digestOf(layer)}`;
      await client.fetch(path, { method: 'POST', body: layer });
      const manifest = JSON.stringify({
        ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] },
        config: {
          mediaType: 'application/vnd.oci.image.config.v1+json',
          digest: digestOf(layer),
          size: layer.length,
        },
      });
      const headers = { 'Content-Type': OCI_MANIFEST };
      await client.fetch('/v2/metrics/app/manifests/latest', { method: 'PUT', body: manifest, headers });
      await (await client.fetch('/v2/metrics/app/manifests/latest')).arrayBuffer();
      await (await client.fetch(`/v2/metrics/app/blobs/${digestOf(layer)}`)).arrayBuffer();
      await client.patch(await client.startUpload('metrics/app'), randomBytes(70_000));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  it('accepts the rules and the metrics of both roles', async () => {
    execFileSync('promtool', ['check', 'rules', 'deploy/prometheus/rules.yml']);
    await until('scrapes', async () => (await prometheus.series('up == 1')) === 2);
    for (const berth of [replica, front]) {
      const text = await (await fetch(`http://${metricsHost(berth)}/metrics`)).text();
      expect(problemsOf(text)).toEqual([]);
    }
  });

  it('returns a series for every query of the dashboard', async () => {
    const { panels } = JSON.parse(readFileSync('deploy/grafana/berth.json', 'utf8')) as { panels: Panel[] };
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(queries.length).toBeGreaterThanOrEqual(40);
    await expectSeries(
      queries.map((expr) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*')),
    );
  });

  it('returns a series for each side of each condition of the rules', async () => {
    const rules = execFileSync('grep', ['-c', 'alert:', 'deploy/prometheus/rules.yml']).toString();
    const response = await fetch(`${prometheus.url}/api/v1/rules`);
    const { data } = (await response.json()) as { data: { groups: { rules: { query: string }[] }[] } };
    const queries = data.groups.flatMap((group) => group.rules.map(({ query }) => query));
    expect(queries).toHaveLength(Number(rules));
    await expectSeries(queries.flatMap(sidesOf));
  });

  /** Some of them take a minute: rows of the database are counted no more often. */
  async function expectSeries(queries: readonly string[]): Promise<void> {
    let missing: readonly string[] = queries;
    const found = async () => {
      const counts = await Promise.all(missing.map((query) => prometheus.series(query)));
      missing = missing.filter((_, index) => counts[index] === 0);
      return missing.length === 0;
    };
    await until('a series for each query', found).catch(() => undefined);
    expect(missing).toEqual([]);
  }
});

/** Of the listener of `METRICS_ADDRESS`, which chose a port. */
function metricsHost({ logFile }: OwnBerth): string {
  const address = /"metrics":"http:\/\/([^/]+)\/metrics"/.exec(readFileSync(logFile, 'utf8'))?.[1];
  if (address === undefined) throw new Error('the log does not say where the metrics are');
  return address;
}

/** What promtool finds, except names of prom-client. */
function problemsOf(text: string): string[] {
  const command = 'promtool check metrics 2>&1 || true';
  const lines = execFileSync('/bin/sh', ['-c', command], { input: text }).toString().split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('nodejs_'));
}

/** A condition holds for no series while all is well. What it compares has some. */
function sidesOf(query: string): string[] {
  return query
    .replace(/\s+/g, ' ')
    .replaceAll(' offset 6h', '')
    .replace(/ (?:>|<|==) [\d.e+]+(?: \* [\d.e+]+)?/g, '')
    .split(/ and | or (?=berth_)/);
}
