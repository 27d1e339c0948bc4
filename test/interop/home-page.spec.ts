import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { findChromium, screenshot, startChromium, type TestBrowser, watchPage } from '../support/chromium.js';
import { OwnBerth } from '../support/running-berth.js';

const chromium = findChromium();
const mustRun = process.env['CI'] === 'true';
if (chromium === undefined && !mustRun) {
  process.stderr.write(
    'Skipped: the page at / in a browser. There is no chromium here (apt-get install chromium).\n',
  );
}

/** Runs in the page: the lowest contrast of a text with its background (WCAG 2.2, "Contrast (Minimum)"). */
const LOWEST_CONTRAST = String.raw`(() => {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return channels(backgroundColor)[3] === 0 ? background(element.parentElement) : backgroundColor;
  };
  const ratios = [...document.querySelectorAll('body *')].map((element) => {
    const [dark, light] = [getComputedStyle(element).color, background(element)]
      .map(luminance)
      .sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  });
  return Math.min(...ratios);
})()`;

(chromium === undefined && !mustRun ? describe.skip : describe)('the page at / in Chromium', () => {
  let berth: OwnBerth;
  let browser: TestBrowser;
  const started: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    if (chromium === undefined) throw new Error('CI=true, and there is no chromium');
    berth = await OwnBerth.start(process.env['SCREENSHOTS'] ? { PORT: '5000' } : {});
    started.push(() => berth.dispose());
    browser = await startChromium(chromium);
    started.push(() => browser.close());
  });
  afterAll(async () => {
    for (const undo of started.splice(0).reverse()) await undo();
  });

  async function withPage(check: (page: Page) => Promise<void>): Promise<void> {
    const page = await browser.context.newPage();
    const faults = watchPage(page, berth.url);
    try {
      await check(page);
    } finally {
      await page.close();
    }
    expect(faults).toEqual({ foreign: [], complaints: [] });
  }

  it.each([
    ['light', 960, 'home'],
    ['dark', 960, 'home-dark'],
    ['light', 360, 'home-phone'],
    ['dark', 360, 'home-phone-dark'],
  ] as const)('can be read in %s, %d pixels wide', async (colorScheme, width, name) => {
    await withPage(async (page) => {
      await page.setViewportSize({ width, height: 600 });
      await page.emulateMedia({ colorScheme });
      await page.goto(berth.url, { waitUntil: 'networkidle' });
      expect(await page.title()).toBe(`Berth: a container registry at ${new URL(berth.url).host}`);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      // Otherwise the policy has blocked the style.
      expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(
        colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 23, 26)',
      );
      expect(await page.evaluate(LOWEST_CONTRAST)).toBeGreaterThanOrEqual(4.5);
      await screenshot(page, name);
    });
  });

  it('leads to Swagger UI', async () => {
    await withPage(async (page) => {
      await page.goto(berth.url);
      await page.getByRole('link', { name: 'Swagger UI' }).click();
      await page.getByText('/v2/_catalog', { exact: true }).waitFor();
    });
  });

  it('selects a whole line at a click', async () => {
    await withPage(async (page) => {
      await page.goto(berth.url);
      await page.getByText('podman push').click();
      const selected = await page.evaluate('String(getSelection())');
      expect(selected).toBe(
        `podman push --tls-verify=false my-image ${new URL(berth.url).host}/demo/my-image`,
      );
    });
  });
});
