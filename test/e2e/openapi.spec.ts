import { beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { AdminClient } from '../support/admin-client.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

interface Content {
  example?: object;
  examples?: Record<string, { value: { errors: { code: string; message: string }[] } }>;
}

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters: { name: string; in: string; required?: boolean; schema: { example?: string } }[];
  responses: Record<
    string,
    { description: string; headers?: Record<string, unknown>; content?: Record<string, Content> }
  >;
  requestBody?: { content: Record<string, Content> };
  security: Record<string, string[]>[];
}

interface Document {
  openapi: string;
  info: { title: string; version: string };
  servers?: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
}

/**
 * The endpoints of the distribution spec, with `_catalog`: path → method → operation id. Generated clients
 * name their functions by the ids, so an id never changes.
 */
const DISTRIBUTION: Record<string, Record<string, string>> = {
  '/v2/': { get: 'checkSupport' },
  '/v2/_catalog': { get: 'getCatalog' },
  '/v2/{name}/blobs/{digest}': { get: 'getBlob', head: 'headBlob', delete: 'deleteBlob' },
  '/v2/{name}/blobs/uploads/': { post: 'startUpload' },
  '/v2/{name}/blobs/uploads/{uploadId}': {
    get: 'getUploadStatus',
    patch: 'appendToUpload',
    put: 'commitUpload',
    delete: 'abortUpload',
  },
  '/v2/{name}/manifests/{reference}': {
    get: 'getManifest',
    head: 'headManifest',
    put: 'putManifest',
    delete: 'deleteManifest',
  },
  '/v2/{name}/referrers/{digest}': { get: 'getReferrers' },
  '/v2/{name}/tags/list': { get: 'getTags' },
};

const OWN: Record<string, Record<string, string>> = {
  '/api/v1/access/explain': { get: 'explainAccess' },
  '/api/v1/grants': { get: 'listGrants', post: 'putGrant' },
  '/api/v1/grants/{id}': { delete: 'deleteGrant' },
  '/api/v1/groups': { get: 'listGroups', post: 'createGroup' },
  '/api/v1/groups/{name}': { get: 'getGroup', patch: 'changeGroup', delete: 'deleteGroup' },
  '/api/v1/groups/{name}/members': { get: 'listGroupMembers' },
  '/api/v1/groups/{name}/members/{account}': { put: 'addGroupMember', delete: 'removeGroupMember' },
  '/api/v1/audit': { get: 'listAuditEvents' },
  '/api/v1/blobs/{digest}/repositories': { get: 'listBlobRepositories' },
  '/api/v1/me': { get: 'getMe' },
  '/api/v1/me/password': { put: 'changeOwnPassword' },
  '/api/v1/me/tokens': { get: 'listOwnTokens', post: 'createOwnToken' },
  '/api/v1/me/tokens/{id}': { delete: 'revokeOwnToken' },
  '/api/v1/users': { get: 'listUsers', post: 'createUser' },
  '/api/v1/users/import': { post: 'importUsers' },
  '/api/v1/users/{name}': { get: 'getUser', patch: 'changeUser', delete: 'deleteUser' },
  '/api/v1/robots': { get: 'listRobots', post: 'createRobot' },
  '/api/v1/robots/{name}': { get: 'getRobot', patch: 'changeRobot', delete: 'deleteRobot' },
  '/api/v1/robots/{name}/tokens': { get: 'listRobotTokens', post: 'createRobotToken' },
  '/api/v1/robots/{name}/tokens/{id}': { delete: 'revokeRobotToken' },
  '/api/v1/jobs': { get: 'listJobs' },
  '/api/v1/jobs/{name}/paused': { put: 'setJobPaused' },
  '/api/v1/jobs/{name}/runs': { get: 'listJobRuns', post: 'startJobRun' },
  '/api/v1/job-runs/{id}': { get: 'getJobRun' },
  '/api/v1/job-runs/{id}/stop': { post: 'stopJobRun' },
  '/api/v1/overview': { get: 'getOverview' },
  '/api/v1/repositories': { get: 'listRepositories' },
  '/api/v1/repositories/{name}': { get: 'getRepository', delete: 'deleteRepository' },
  '/api/v1/repositories/{name}/usage': { get: 'getRepositoryUsage' },
  '/api/v1/garbage': { get: 'getGarbage' },
  '/api/v1/deletions': { get: 'listDeletions' },
  '/api/v1/deletions/{id}': { get: 'getDeletion' },
  '/api/v1/deletions/{id}/restore': { post: 'restoreDeletion' },
  '/api/v1/deletions/{id}/purge': { post: 'purgeDeletion' },
  '/api/v1/repositories/{name}/events': { get: 'listRepositoryEvents' },
  '/api/v1/repositories/{name}/blobs/{digest}': { get: 'getRepositoryBlob' },
  '/api/v1/repositories/{name}/manifests': { get: 'listManifests' },
  '/api/v1/repositories/{name}/manifests/{digest}': { get: 'describeManifest' },
  '/api/v1/repositories/{name}/tags': { get: 'listTags' },
  '/api/v1/repositories/{name}/tags/{tag}/events': { get: 'listTagEvents' },
  '/api/v1/uploads': { get: 'listUploads' },
  '/api/v1/uploads/{id}': { get: 'getUpload', delete: 'cancelUpload' },
  '/api/v1/uploads/{id}/events': { get: 'listUploadEvents' },
  '/health/live': { get: 'getLiveness' },
  '/health/ready': { get: 'getReadiness' },
  '/metrics': { get: 'getMetrics' },
};

describe('the OpenAPI document', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let document: Document;
  let operations: { path: string; method: string; operation: Operation }[];

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    document = (await (await client.fetch('/api/docs-json')).json()) as Document;
    operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
    );
  });

  it('is valid', async () => {
    const { valid, errors } = await new Validator().validate({ ...document });
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(document.info).toMatchObject({ title: 'Berth', version: '0.1.0' });
  });

  it('describes every endpoint, and no other, with ids that stay', () => {
    const described = Object.entries(document.paths).map(([path, item]) => [
      path,
      Object.fromEntries(Object.entries(item).map(([method, { operationId }]) => [method, operationId])),
    ]);
    expect(Object.fromEntries(described)).toEqual({ ...DISTRIBUTION, ...OWN });
  });

  it('has the admin groups first and the distribution spec last', () => {
    const groups = document.tags.map(({ name }) => name.split(':')[0]!);
    expect(groups.filter((group, index) => group !== groups[index - 1])).toEqual([
      'Admin',
      'Health',
      'Metrics',
      'Distribution',
    ]);
  });

  it('says in a short summary what each operation does, beginning with a verb', () => {
    const VERBS =
      /^(Add|Append|Cancel|Change|Check|Complete|Create|Delete|Get|Import|List|Pull|Purge|Push|Remove|Restore|Revoke|Show|Start|Stop) /;
    for (const { operation } of operations) {
      expect(operation.summary).toMatch(VERBS);
      expect(operation.summary.length).toBeLessThanOrEqual(60);
      expect(operation.summary).not.toMatch(/\.$/);
    }
  });

  it('describes each response, and HEAD as one without a body', () => {
    for (const { method, operation } of operations) {
      for (const [status, { description }] of Object.entries(operation.responses)) {
        const where = `${operation.operationId} ${status}`;
        expect([where, description]).toEqual([where, expect.stringMatching(/./)]);
        if (method === 'head' && status === '200') expect(description).toBe('It exists');
      }
    }
  });

  it('gives each error status an example of its own', () => {
    for (const { path, method, operation } of operations) {
      for (const [status, { content = {} }] of Object.entries(operation.responses)) {
        if (Number(status) < 400 || method === 'head') continue;
        const where = `${operation.operationId} ${status}`;
        const [{ example, examples } = {}] = Object.values(content);
        if (path.startsWith('/v2')) {
          expect([where, Object.keys(examples ?? {})]).not.toEqual([where, []]);
          for (const [code, { value }] of Object.entries(examples ?? {})) {
            expect(value.errors[0]).toMatchObject({ code, message: expect.stringMatching(/./) });
          }
        } else if (path.startsWith('/api')) {
          expect([where, example]).toEqual([
            where,
            expect.objectContaining({ status: Number(status), detail: expect.stringMatching(/./) }),
          ]);
        } else {
          expect([where, example]).not.toEqual([where, undefined]);
        }
      }
    }
  });

  it('requires credentials of all but public endpoints, and describes refusals and failures there', () => {
    for (const { path, operation } of operations) {
      const isPublic = path.startsWith('/health');
      expect([path, operation.security]).toEqual([path, isPublic ? [] : [{ password: [] }, { secret: [] }]]);
      if (isPublic) continue;
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['401', '403', '500', '503']));
    }
    const { get, delete: remove } = document.paths['/v2/{name}/blobs/{digest}']!;
    expect(get!.responses['307']!.headers).toHaveProperty('Location');
    expect(remove!.responses['405']!.headers).toHaveProperty('Allow');
  });

  it('has real examples: what they say can be pushed and pulled', async () => {
    const examples = new Map(
      operations.flatMap(({ operation }) =>
        operation.parameters
          .filter((parameter) => parameter.in === 'path')
          .map(({ name, schema }) => [name, schema.example] as const),
      ),
    );
    expect([...examples.keys()].filter((name) => examples.get(name) !== undefined).sort()).toEqual([
      'account',
      'digest',
      'id',
      'name',
      'reference',
      'tag',
      'uploadId',
    ]);
    for (const { path, operation } of operations) {
      for (const parameter of operation.parameters) {
        // Swagger UI fills examples in: an optional parameter with one would be sent by everybody.
        expect([path, parameter.name, parameter.schema.example !== undefined]).toEqual([
          path,
          parameter.name,
          parameter.in === 'path',
        ]);
      }
    }
    // Accounts and groups have a name, too.
    const [{ schema }] = document.paths['/v2/{name}/tags/list']!['get']!.parameters as [
      Operation['parameters'][0],
    ];
    const name = schema.example!;
    await client.pushBlob(name, '{}');
    const blob = document.paths['/v2/{name}/blobs/{digest}']!['get']!;
    const blobDigest = blob.parameters.find((parameter) => parameter.name === 'digest')!.schema.example!;
    expect(await client.blob(name, blobDigest)).toEqual(Buffer.from('{}'));

    const { content } = document.paths['/v2/{name}/manifests/{reference}']!['put']!.requestBody!;
    expect(Object.keys(content)).toHaveLength(4);
    for (const [type, { example }] of Object.entries(content)) {
      const text = JSON.stringify(example, null, 2);
      const pushed = await client.putManifest(name, examples.get('reference')!, text, {
        'Content-Type': type,
      });
      expect([type, pushed.status]).toEqual([type, 201]);
    }
    const described = document.paths['/api/v1/repositories/{name}/manifests/{digest}']!['get']!;
    const digest = described.parameters.find((parameter) => parameter.name === 'digest')!.schema.example!;
    const path = `/repositories/${encodeURIComponent(name)}/manifests/${encodeURIComponent(digest)}`;
    expect(await new AdminClient(client).get(path)).toMatchObject({ digest });
  });

  it('has bodies of accounts that can be sent', async () => {
    const admin = new AdminClient(client);
    for (const [method, path, name] of [
      ['post', '/api/v1/users', ''],
      ['patch', '/api/v1/users/{name}', 'alice'],
      ['post', '/api/v1/users/import', ''],
      ['post', '/api/v1/robots', ''],
      ['patch', '/api/v1/robots/{name}', 'ci'],
      ['post', '/api/v1/robots/{name}/tokens', 'ci'],
    ] as const) {
      const { examples = {} } = document.paths[path]![method]!.requestBody!.content['application/json']!;
      expect([path, Object.keys(examples)]).not.toEqual([path, []]);
      for (const { value } of Object.values(examples)) {
        const url = path.replace('/api/v1', '').replace('{name}', name);
        const { status } = await admin.send(method.toUpperCase(), url, value);
        expect([path, status >= 200 && status < 300]).toEqual([path, true]);
      }
    }
  });

  it('gives every operation a unique id, a declared tag and a successful response', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = document.tags.map(({ name }) => name);
    for (const { operation } of operations) {
      expect(operation.tags).toHaveLength(1);
      expect(tags).toContain(operation.tags[0]);
      expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
      expect(Object.keys(operation).filter((key) => key.startsWith('x-'))).toEqual([]);
    }
    expect(tags.filter((tag) => !operations.some(({ operation }) => operation.tags.includes(tag)))).toEqual(
      [],
    );
  });

  it('declares the parameters of every path, in its order', () => {
    for (const { path, operation } of operations) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = operation.parameters.filter((parameter) => parameter.in === 'path');
      expect(declared.map(({ name }) => name)).toEqual(names);
      expect(declared.every(({ required }) => required)).toBe(true);
    }
  });

  it("describes the spec's headers, bodies and errors", () => {
    const blobs = document.paths['/v2/{name}/blobs/{digest}']!;
    expect(Object.keys(blobs['get']!.responses)).toEqual(
      expect.arrayContaining(['200', '206', '304', '400', '404', '416']),
    );
    expect(blobs['head']!.responses['200']!.headers).toHaveProperty('Docker-Content-Digest');
    expect(blobs['head']!.responses['200']).not.toHaveProperty('content');
    const upload = document.paths['/v2/{name}/blobs/uploads/{uploadId}']!;
    expect(upload['patch']!.requestBody!.content).toHaveProperty('application/octet-stream');
    expect(upload['patch']!.responses['202']!.headers).toHaveProperty('Range');
    for (const { path, operation } of operations) {
      for (const [status, response] of Object.entries(operation.responses)) {
        if (path.startsWith('/v2'))
          expect(response.headers).toHaveProperty('Docker-Distribution-API-Version');
        if (Number(status) < 400 || path.startsWith('/health') || !response.content) continue;
        const type = path.startsWith('/v2') ? 'application/json' : 'application/problem+json';
        expect(Object.keys(response.content)).toEqual([type]);
      }
    }
  });

  it.each(['none%2Fsuch', 'Malformed'])(
    'describes endpoints that exist, with the responses that they give: %s',
    async (name) => {
      for (const { path, method, operation } of operations) {
        const url = path
          .replace('{name}', name)
          .replace('{digest}', digestOf('x'))
          .replace(/\{\w*[iI]d\}/, crypto.randomUUID())
          .replace(/\{(reference|tag)\}/, 'latest');
        const response = await client.fetch(url, { method: method.toUpperCase() });
        const text = await response.text();
        const where = `${method} ${url}: ${response.status} ${text}`;
        expect([where, Object.keys(operation.responses)]).toEqual([
          where,
          expect.arrayContaining([String(response.status)]),
        ]);
        expect(response.status).toBeLessThan(500);
        expect(text).not.toContain('no such endpoint');
        if (!path.startsWith('/v2') || response.status < 400 || method === 'head') continue;
        const { examples = {} } = operation.responses[response.status]!.content!['application/json']!;
        const { errors } = JSON.parse(text) as { errors: { code: string }[] };
        expect([where, Object.keys(examples)]).toEqual([where, expect.arrayContaining([errors[0]!.code])]);
      }
    },
  );

  it('describes the responses of the admin API', async () => {
    const image = await client.makeImage('a/b', ['layer']);
    await client.putManifest('a/b', 'latest', image);
    const location = await client.startUpload('a/b');
    const schemas = (
      document as unknown as {
        components: { schemas: Record<string, { required: string[]; properties: object }> };
      }
    ).components.schemas;
    const admin = new AdminClient(client);
    const [user, robot] = [`user-${process.pid}`, `robot-${process.pid}`];
    const made: [string, string, string][] = [
      ['CreatedUserDto', '/users', user],
      ['CreatedRobotDto', '/robots', robot],
      ['CreatedTokenDto', `/robots/${robot}/tokens`, 'second'],
    ];
    for (const [schema, path, name] of made) {
      const keys = Object.keys(await admin.call<object>('POST', path, 201, { name })).sort();
      expect([schema, Object.keys(schemas[schema]!.properties).sort()]).toEqual([schema, keys]);
    }
    const returned: [string, string][] = [
      ['OverviewDto', '/overview'],
      ['RepositoryDto', '/repositories/a%2Fb'],
      ['TagPageDto', '/repositories/a%2Fb/tags'],
      ['TagEventPageDto', '/repositories/a%2Fb/events'],
      ['ManifestDetailsDto', `/repositories/a%2Fb/manifests/${digestOf(JSON.stringify(image))}`],
      ['UploadDto', `/uploads/${location.split('/').at(-1)!}`],
      ['UploadEventPageDto', `/uploads/${location.split('/').at(-1)!}/events`],
      ['MeDto', '/me'],
      ['JobListDto', '/jobs'],
      ['JobRunPageDto', '/jobs/reap/runs'],
      ['UserPageDto', '/users'],
      ['UserDto', `/users/${user}`],
      ['RobotDto', `/robots/${robot}`],
      ['TokenPageDto', `/robots/${robot}/tokens`],
    ];
    for (const [schema, path] of returned) {
      const keys = Object.keys(await admin.get<object>(path)).sort();
      expect([schema, Object.keys(schemas[schema]!.properties).sort()]).toEqual([schema, keys]);
      expect([...schemas[schema]!.required].sort()).toEqual(keys);
    }
    expect(Object.keys(await admin.problem('/none', 404)).sort()).toEqual(
      Object.keys(schemas['ProblemDto']!.properties).sort(),
    );
  });
});

describe('Swagger UI', () => {
  let berth: RunningBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  it.each([
    ['/api/docs', 'text/html'],
    ['/api/docs/', 'text/html'],
    ['/api/docs/swagger-ui-bundle.js', 'text/javascript'],
    ['/api/docs/swagger-ui.css', 'text/css'],
    ['/api/docs/swagger-ui-init.js', 'application/javascript'],
    ['/api/docs-json', 'application/json'],
  ])('serves %s with its security headers', async (path, type) => {
    const response = await client.fetch(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain(type);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    const policy = response.headers.get('content-security-policy');
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("connect-src 'self';");
  });

  it('loads only its own scripts and names no other host', async () => {
    const html = await (await client.fetch('/api/docs')).text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc="\.\/docs\/)/);
    expect(html.match(/(?:src|href)="[^"]*"/g)?.filter((link) => !link.includes('"./docs/'))).toEqual([]);
  });

  it.each([
    '/api/docs/nothing.js',
    '/api/docs/../../package.json',
    '/api/docs/%2e%2e/%2e%2e/package.json',
    '/api',
  ])('%s: 404', async (path) => {
    const response = await client.fetch(path);
    expect(response.status).toBe(404);
  });
});

describe('encoded slashes', () => {
  it('are accepted in names on /v2, as Swagger UI sends them', async () => {
    const berth = await sharedBerth();
    const client = new RegistryClient(berth.url);
    const image = JSON.stringify(await client.makeImage('a/b/c', ['layer']));
    await client.putManifest('a/b/c', 'latest', image);
    for (const path of [
      `blobs/${digestOf('layer')}`,
      'manifests/latest',
      'tags/list',
      `referrers/${digestOf(image)}`,
    ]) {
      expect((await client.fetch(`/v2/a%2Fb%2Fc/${path}`)).status).toBe(200);
    }
    expect((await client.fetch('/v2/a%2Fb%2Fc/blobs/uploads/', { method: 'POST' })).status).toBe(202);
  });
});
