import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

/** Where distributions install it. `CHROMIUM` names another path. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** It must send no requests of its own: tests count requests. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The path of this machine's browser, if it has one. */
export function findChromium(): string | undefined {
  return [process.env['CHROMIUM'] ?? '', ...PATHS].find((path) => path !== '' && existsSync(path));
}

/** A browser with its own profile. */
export interface TestBrowser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** What a page must not do. */
export interface PageFaults {
  /** URLs of requests to other hosts. */
  readonly foreign: string[];
  /** Errors and warnings on the console. */
  readonly complaints: string[];
}

/** Records the faults of a page from now on. */
export function watchPage(page: Page, origin: string): PageFaults {
  const faults: PageFaults = { foreign: [], complaints: [] };
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin)
      faults.foreign.push(request.url());
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.complaints.push(message.text());
  });
  page.on('pageerror', (error) => faults.complaints.push(error.message));
  return faults;
}

/** For a person to look at: into the directory that `SCREENSHOTS` names. */
export async function screenshot(page: Page, name: string, { fullPage = true } = {}): Promise<void> {
  const directory = process.env['SCREENSHOTS'];
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`), fullPage });
}

export async function startChromium(executablePath: string): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'berth-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
    viewport: { width: 1280, height: 1600 },
  });
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
