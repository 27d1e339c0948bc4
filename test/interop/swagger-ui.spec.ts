import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Locator, Page } from 'playwright-core';
import {
  findChromium,
  type PageFaults,
  screenshot,
  startChromium,
  type TestBrowser,
  watchPage,
} from '../support/chromium.js';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';

const chromium = findChromium();
const mustRun = process.env['CI'] === 'true';
if (chromium === undefined && !mustRun) {
  process.stderr.write(
    'Skipped: Swagger UI in a browser. There is no chromium here (apt-get install chromium).\n',
  );
}

(chromium === undefined && !mustRun ? describe.skip : describe)('Swagger UI in Chromium', () => {
  let berth: OwnBerth;
  let browser: TestBrowser;
  let page: Page;
  let faults: PageFaults;
  const started: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    if (chromium === undefined) throw new Error('CI=true, and there is no chromium');
    berth = await OwnBerth.start();
    started.push(() => berth.dispose());
    browser = await startChromium(chromium);
    started.push(() => browser.close());
    const client = new RegistryClient(berth.url);
    await client.putManifest(
      'library/busybox',
      'latest',
      await client.makeImage('library/busybox', ['layer']),
    );
  });
  afterAll(async () => {
    for (const undo of started.splice(0).reverse()) await undo();
  });

  beforeEach(async () => {
    page = await browser.context.newPage();
    faults = watchPage(page, berth.url);
    await page.goto(`${berth.url}/api/docs`, { waitUntil: 'networkidle' });
    await page.getByText('/v2/_catalog', { exact: true }).waitFor();
  });

  function expectQuiet(): void {
    expect(faults).toEqual({ foreign: [], complaints: [] });
  }

  async function open(operationId: string): Promise<Locator> {
    const operation = page.locator(`[id$="-${operationId}"]`);
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Try it out' }).click();
    return operation;
  }

  /**
   * Fills in parameters and executes. Returns the status, the request's URL and the body that the page shows.
   */
  async function execute(operationId: string, parameters: Record<string, string> = {}) {
    const operation = await open(operationId);
    for (const [name, value] of Object.entries(parameters)) {
      await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
    }
    await operation.getByRole('button', { name: 'Execute' }).click();
    const live = operation.locator('.live-responses-table');
    await live.waitFor();
    return {
      status: await live.locator('tbody .response-col_status').first().innerText(),
      url: await operation.locator('.request-url pre').innerText(),
      body: await live.locator('.response-col_description pre').first().innerText(),
    };
  }

  /** Executes an operation with its examples. Returns the status that the page shows. */
  async function executeAsFilledIn(operationId: string): Promise<string> {
    const operation = await open(operationId);
    await operation.getByRole('button', { name: 'Execute' }).click();
    return operation.locator('.live-responses-table tbody .response-col_status').first().innerText();
  }

  it('shows every operation, without requests to other hosts', async () => {
    await expect(page.title()).resolves.toBe('Berth: API');
    const { paths } = (await (await fetch(`${berth.url}/api/docs-json`)).json()) as { paths: object };
    const operations = Object.values(paths).flatMap((item: object) => Object.keys(item));
    expect(await page.locator('.opblock').count()).toBe(operations.length);
    expect(await page.locator('.opblock-tag').allInnerTexts()).toEqual(
      expect.arrayContaining([expect.stringContaining('Distribution: blobs')]),
    );
    await page.setViewportSize({ width: 960, height: 900 });
    await screenshot(page, 'swagger-ui', { fullPage: false });
    expectQuiet();
  });

  it('tries out GET /v2/_catalog', async () => {
    const { status, url, body } = await execute('getCatalog');
    expect(status).toContain('200');
    expect(url).toBe(`${berth.url}/v2/_catalog`);
    expect(JSON.parse(body)).toEqual({ repositories: ['library/busybox'] });
    expectQuiet();
  });

  it('tries out a name with a slash on /v2', async () => {
    const { status, url, body } = await execute('getTags', { name: 'library/busybox' });
    expect(url).toBe(`${berth.url}/v2/library%2Fbusybox/tags/list`);
    expect(status).toContain('200');
    expect(JSON.parse(body)).toEqual({ name: 'library/busybox', tags: ['latest'] });
    await screenshot(page, 'tried-out');
    expectQuiet();
  });

  it('tries out the admin API, a name with a slash included', async () => {
    const overview = await execute('getOverview');
    expect(overview.status).toContain('200');
    expect(JSON.parse(overview.body)).toMatchObject({ counts: { repositories: 1, tags: 1 } });
    const tags = await execute('listTags', { name: 'library/busybox', limit: '10' });
    expect(tags.url).toBe(`${berth.url}/api/v1/repositories/library%2Fbusybox/tags?limit=10&sort=name`);
    expect(JSON.parse(tags.body)).toMatchObject({ items: [{ name: 'latest' }], nextCursor: null });
    expectQuiet();
  });

  it('shows the admin groups first', async () => {
    const groups = await page.locator('.opblock-tag').allInnerTexts();
    expect(groups[0]).toMatch(/^Admin: overview/);
    expect(groups.at(-1)).toMatch(/^Distribution: lists/);
    expectQuiet();
  });

  it('pushes, shows and deletes the example manifest as it is filled in', async () => {
    expect(await executeAsFilledIn('putManifest')).toContain('201');
    expect(await executeAsFilledIn('describeManifest')).toContain('200');
    expect(await executeAsFilledIn('getManifest')).toContain('200');
    await screenshot(page, 'manifest');
    expect(await executeAsFilledIn('deleteManifest')).toContain('202');
    expectQuiet();
  });

  it('cancels an upload', async () => {
    const location = await new RegistryClient(berth.url).startUpload('library/busybox');
    const operation = await open('cancelUpload');
    await operation.locator('tr[data-param-name="id"] input').fill(location.split('/').at(-1)!);
    await operation.getByRole('button', { name: 'Execute' }).click();
    const status = operation.locator('.live-responses-table tbody .response-col_status').first();
    expect(await status.innerText()).toContain('204');
    expectQuiet();
  });
});

(chromium === undefined && !mustRun ? describe.skip : describe)('Swagger UI with access control', () => {
  const PASSWORD = 'correct horse battery';
  let berth: OwnBerth;
  let browser: TestBrowser;
  let page: Page;
  /** How often the browser would have asked for a password itself. */
  let nativeDialogs = 0;

  beforeAll(async () => {
    if (chromium === undefined) throw new Error('CI=true, and there is no chromium');
    berth = await OwnBerth.start({ ACCESS_MODE: 'token', ADMIN_PASSWORD: PASSWORD });
    browser = await startChromium(chromium);
    page = await browser.context.newPage();
    const devTools = await browser.context.newCDPSession(page);
    devTools.on('Fetch.requestPaused', ({ requestId }) => {
      void devTools.send('Fetch.continueRequest', { requestId });
    });
    devTools.on('Fetch.authRequired', ({ requestId }) => {
      nativeDialogs += 1;
      const authChallengeResponse = { response: 'CancelAuth' } as const;
      void devTools.send('Fetch.continueWithAuth', { requestId, authChallengeResponse });
    });
    await devTools.send('Fetch.enable', { handleAuthRequests: true });
    page.on('dialog', (dialog) => {
      nativeDialogs += 1;
      void dialog.dismiss();
    });
    await page.goto(`${berth.url}/api/docs`, { waitUntil: 'networkidle' });
    await page.getByText('/api/v1/overview', { exact: true }).waitFor();
  });
  afterAll(async () => {
    await browser.close();
    await berth.dispose();
  });

  /** Executes an operation of the page. Returns the status and the body that it shows. */
  async function execute(operationId: string, parameters: Record<string, string> = {}, body?: object) {
    const operation = page.locator(`[id$="-${operationId}"]`);
    const tryOut = operation.getByRole('button', { name: 'Try it out' });
    if (!(await operation.locator('.opblock-body').isVisible())) {
      await operation.locator('.opblock-summary-control').click();
      await tryOut.click();
    }
    for (const [name, value] of Object.entries(parameters)) {
      await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
    }
    if (body !== undefined) await operation.locator('textarea.body-param__text').fill(JSON.stringify(body));
    const answered = page.waitForResponse((response) => /\/(api\/v1|v2)\//.test(response.url()));
    await operation.getByRole('button', { name: 'Execute' }).click();
    const response = await answered;
    return { status: response.status(), text: await response.text() };
  }

  /** Fills in fields of the dialog, by their ids. Earlier credentials are forgotten. */
  async function authorize(values: Record<string, string>): Promise<void> {
    await page.locator('.auth-wrapper .btn.authorize').click();
    const logout = page.locator('.auth-container button', { hasText: 'Logout' });
    while ((await logout.count()) > 0) await logout.first().click();
    for (const [id, value] of Object.entries(values)) await page.locator(`#${id}`).fill(value);
    const container = page.locator('.auth-container', { has: page.locator(`#${Object.keys(values)[0]}`) });
    await container.locator('button[type=submit]').click();
    await page.locator('.modal-ux .close-modal').click();
  }
  const authorizeAdmin = () => authorize({ 'auth-basic-username': 'admin', 'auth-basic-password': PASSWORD });
  const authorizeSecret = (secret: string) => authorize({ 'auth-bearer-value': secret });

  it('refuses without credentials, and the browser asks for none', async () => {
    for (const operationId of ['getOverview', 'checkSupport']) {
      expect(await execute(operationId)).toMatchObject({ status: 401 });
    }
    expect(nativeDialogs).toBe(0);
  });

  it('creates a robot and revokes its secret, as an admin who signed in', async () => {
    await authorizeAdmin();
    const created = await execute(
      'createRobot',
      {},
      { name: 'ci', grants: [{ pattern: 'a/**', role: 'push' }] },
    );
    expect(created).toMatchObject({ status: 201 });
    const { token } = JSON.parse(created.text) as { token: { id: string; secret: string } };
    await authorizeSecret(token.secret);
    const me = await execute('getMe');
    expect([me.status, JSON.parse(me.text)]).toMatchObject([200, { name: 'ci' }]);
    await authorizeAdmin();
    expect(await execute('revokeRobotToken', { name: 'ci', id: token.id })).toMatchObject({ status: 204 });
    await authorizeSecret(token.secret);
    expect(await execute('getMe')).toMatchObject({ status: 401 });
    expect(nativeDialogs).toBe(0);
  });

  it('forgets the credentials with the page', async () => {
    await page.reload({ waitUntil: 'networkidle' });
    expect(await execute('getOverview')).toMatchObject({ status: 401 });
    const kept = 'localStorage.length + sessionStorage.length + document.cookie.length';
    expect(await page.evaluate<number>(kept)).toBe(0);
    expect(nativeDialogs).toBe(0);
  });
});
