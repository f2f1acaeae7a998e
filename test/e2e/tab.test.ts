import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { browserTag, realNodeTag } from '../../scripts/test/summary';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { accessibilityProblems } from '../support/tab/accessibility';
import { openBrowserOrSkip, pictureFolder } from '../support/tab/browser';
import { recordRuns, type RecordedRun } from '../support/tab/realRuns';
import { openTabStage, type TabStage } from '../support/tab/tabStage';

describe(`the results tab over real runs ${realNodeTag} ${browserTag}`, function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let browser: Browser | undefined;
  let stage: TabStage;
  let runs: readonly RecordedRun[] = [];

  before(async function () {
    this.timeout(1_800_000);
    cluster = await testCluster();
    browser = await openBrowserOrSkip(this, cluster.hasRealNode ? undefined : 'there is no real node');
    stage = await openTabStage();
    runs = await recordRuns(cluster);
  });

  after(async () => {
    if (browser === undefined) return;
    await browser.close();
    await stage.close();
  });

  // Each question is answered from the text that is visible without a click.
  for (const [title, questions] of [
    ['deployed', [[/Broken\s*Nothing/, /Serves now\s*Revision 1 serves now, verified healthy\./, /Nothing to do\./]]],
    [
      'rolled-back',
      [
        [
          /Broken\s*Deployment\/cart/,
          /Why\s*Container app has ended [^]*CrashLoop[^]*FATAL DB_URL is not set/,
          /Serves now\s*Revision 3 serves now, verified healthy\.[^]*Service\/cart/,
          /Next step\s*Read the last lines/,
        ],
      ],
    ],
    [
      'waiting-for-approval',
      [
        [/failed to deploy/, /Broken\s*Deployment\/cart/, /Revision 4 serves now, and is not healthy/],
        [
          /What the button does\s*It rolls release shop back from revision 4 to revision 3, seen healthy\./,
          /Deletes ConfigMap\/promotion\./,
          /Restarts the pods of Deployment\/cart\./,
          /risk low/,
        ],
      ],
    ],
    [
      'rolled-back-after-approval',
      [
        [
          /Serves now\s*Revision 5 serves now, and is healthy\./,
          /Approved by\s*Ada Example/,
          /«cart is down»/,
          /Nothing to do\./,
        ],
      ],
    ],
  ] as const) {
    it(`answers what is broken, why, what serves, and what the button does (${title})`, async () => {
      const run = runs.find((each) => each.title === title);
      assert.ok(run !== undefined && browser !== undefined);
      stage.run.steps = run.steps;
      const tab = await stage.open(browser);
      try {
        await tab.frame.locator('main[data-ready]').waitFor();
        const texts = await tab.frame.locator('.entry[open]').allInnerTexts();
        for (const [index, patterns] of questions.entries()) {
          for (const pattern of patterns) assert.match(texts[index] ?? '', pattern);
        }
        assert.deepEqual(await accessibilityProblems(tab.page), []);
        assert.deepEqual(tab.errors, []);
        await tab.page.screenshot({ path: `${pictureFolder()}/real-${title}.png`, fullPage: true });
      } finally {
        await tab.close();
      }
    });
  }
});
