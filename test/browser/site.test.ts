import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { repository } from '../../scripts/build';
import { writeSite } from '../../scripts/docs/writeSite';
import { browserTag } from '../../scripts/test/summary';
import { accessibilityProblemsOf } from '../support/tab/accessibility';
import { openBrowserOrSkip } from '../support/tab/browser';

/** One page of each make. A page with hundreds of inputs or causes takes axe some seconds. */
const sample = [
  'index.html',
  'docs/tasks/RolloutHealthCheck.html',
  'docs/rights.html',
  'docs/benchmarks.html',
  'docs/security.html',
  'docs/decisions/README.html',
  'CHANGELOG.html',
  'README.html',
];

describe(`the documentation in a browser, from the disk and without a network ${browserTag}`, function () {
  this.timeout(120_000);
  let browser: Browser | undefined;
  let out: string;

  before(async function () {
    this.timeout(600_000);
    browser = await openBrowserOrSkip(this);
    out = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-site-'));
    await writeSite(repository, out);
  });

  after(async () => {
    await browser?.close();
    if (browser !== undefined) await rm(out, { recursive: true, force: true });
  });

  const open = async (colorScheme: 'light' | 'dark', width = 1366): Promise<Page> => {
    assert.ok(browser !== undefined);
    return browser.newPage({ colorScheme, viewport: { width, height: 768 } });
  };
  const urlOf = (address: string): string => pathToFileURL(path.join(out, address)).href;

  const problemsOf = async (pages: readonly string[], scheme: 'light' | 'dark'): Promise<string[]> => {
    const page = await open(scheme);
    const found: string[] = [];
    for (const address of pages) {
      await page.goto(urlOf(address));
      found.push(...(await accessibilityProblemsOf(page.mainFrame())).map((problem) => `${address}: ${problem}`));
    }
    await page.close();
    return found;
  };

  it('has no page with a problem of accessibility', async () => {
    assert.deepEqual(await problemsOf(sample, 'light'), []);
  });

  it('has none in dark colours either', async () => {
    assert.deepEqual(await problemsOf(sample.slice(0, 3), 'dark'), []);
  });

  it('finds an input by its name, with the keyboard alone', async () => {
    const page = await open('light');
    await page.goto(urlOf('docs/causes.html'));
    await page.keyboard.press('/');
    await page.keyboard.type('cleanupTimeout');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/docs/tasks/HelmSafeDeploy.html#cleanuptimeout');
    await page.close();
  });

  it('fits a phone: nothing is wider than the window', async () => {
    const page = await open('light', 360);
    for (const address of [
      'index.html',
      'docs/rights.html',
      'docs/tasks/HelmSafeDeploy.html',
      'docs/benchmarks.html',
    ]) {
      await page.goto(urlOf(address));
      const width = await page.evaluate<number>('document.documentElement.scrollWidth');
      assert.ok(width <= 360, `${address} is ${width} pixels wide`);
    }
    await page.close();
  });
});
