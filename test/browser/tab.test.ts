import assert from 'node:assert/strict';
import path from 'node:path';
import type { Browser, FrameLocator, Page } from 'playwright-core';
import { browserTag } from '../../scripts/test/summary';
import { accessibilityProblems } from '../support/tab/accessibility';
import { openBrowserOrSkip, pictureFolder } from '../support/tab/browser';
import { recordId, type RecordedStep } from '../support/tab/recordedRun';
import { largeReport, openStep, stepWith, tabStates, type TabState } from '../support/tab/states';
import { openTabStage, type OpenTab, type TabOptions, type TabStage } from '../support/tab/tabStage';
import type { ThemeName } from '../support/tab/themes';

describe(`the results tab in a browser ${browserTag}`, function () {
  this.timeout(60_000);
  let browser: Browser | undefined;
  let stage: TabStage;
  let states: readonly TabState[];
  const open: OpenTab[] = [];

  before(async function () {
    this.timeout(600_000);
    browser = await openBrowserOrSkip(this);
    stage = await openTabStage();
    states = await tabStates();
  });

  afterEach(async () => {
    const errors = open.flatMap((tab) => tab.errors);
    await Promise.all(open.splice(0).map((tab) => tab.close()));
    assert.deepEqual(errors, []);
  });

  after(async () => {
    await browser?.close();
    if (browser !== undefined) await stage.close();
  });

  const stepsOf = (name: string): readonly RecordedStep[] => {
    const state = states.find((each) => each.name === name);
    assert.ok(state !== undefined, name);
    return state.steps;
  };

  const reportName = (state: string): string =>
    stepsOf(state)
      .flatMap(({ attachments }) => attachments)
      .find(({ type }) => type === 'helm-safe-deploy.report')?.name ?? '';

  const show = async (steps: readonly RecordedStep[], options: TabOptions = {}): Promise<OpenTab> => {
    stage.run.steps = steps;
    stage.run.requests.length = 0;
    stage.run.mostAtOnce = 0;
    assert.ok(browser !== undefined);
    const tab = await stage.open(browser, options);
    open.push(tab);
    await tab.frame.locator('main[data-ready]').waitFor();
    return tab;
  };

  const unfold = async (tab: Pick<OpenTab, 'page' | 'frame'>): Promise<void> => {
    // Each round opens what the round before has made.
    for (let round = 0; round < 4; round += 1) {
      // The browser tells of an opened part after its next frame.
      await inTab(
        tab.page,
        `new Promise((done) => {
          document.querySelectorAll('details').forEach((each) => { each.open = true; });
          requestAnimationFrame(() => setTimeout(done));
        })`,
      );
      await tab.frame.locator('[data-waiting]').first().waitFor({ state: 'detached' });
    }
  };

  for (const theme of ['light', 'dark', 'contrast'] as const satisfies readonly ThemeName[]) {
    it(`has no accessibility problem in any state, folded and unfolded (${theme})`, async function () {
      this.timeout(180_000);
      for (const { name, steps } of states) {
        // A long list has the same parts as a short one.
        if (name === 'many' && theme !== 'light') continue;
        const tab = await show(steps, { theme });
        const folded = theme === 'light' ? await accessibilityProblems(tab.page) : [];
        await picture(tab.page, `${name}-${theme}`);
        await unfold(tab);
        assert.deepEqual([...folded, ...(await accessibilityProblems(tab.page))], [], name);
        if (theme === 'light') await picture(tab.page, `${name}-${theme}-unfolded`);
      }
    });
  }

  for (const [title, state, sentence] of [
    ['nothing of this extension', 'nothing-here', /No step of this extension has left a report in this run\./],
    ['a step that waits', 'waiting', /The next step of this extension has not begun yet\./],
    ['a running step', 'running', /1 step is running\./],
    ['a good deploy', 'deployed', /1 report: 1 well\./],
    ['a report that cannot be read, beside one that can', 'unreadable', /2 reports: 1 to look at, 1 not known\./],
  ] as const) {
    it(`says in one sentence that there is ${title}`, async () => {
      const { frame } = await show(stepsOf(state));
      assert.match(await textOf(frame, '.top .said'), sentence);
    });
  }

  it('shows in five seconds what is broken, why, what serves now, and what to do', async () => {
    const { frame } = await show(stepsOf('rolled-back'));
    const text = await textOf(frame, '.entry');
    for (const pattern of [
      /rolled back/,
      /Release shop in namespace prod was rolled back/,
      /Broken\s*Deployment\/web/,
      /Why[^]*ImageInvalidName/,
      /Serves now\s*Revision 3 serves now, verified healthy\./,
      /Next step\s*\S/,
    ])
      assert.match(text, pattern);
  });

  it('shows what the button of a plan does, before everything else', async () => {
    const { frame, page } = await show(stepsOf('planned'));
    const answers = await frame.locator('.answer').allInnerTexts();
    assert.match(
      answers[0] ?? '',
      /What the button does\s*It rolls release shop back from revision 2 to revision 1, seen healthy\./,
    );
    assert.match(answers[0] ?? '', /Deletes ConfigMap\/new\./);
    assert.match(await textOf(frame, '.plan'), /Patched \(2\)/);
    await unfold({ frame, page });
    const tops = await inTab<number[]>(
      page,
      `[...document.querySelector('.diff').children].map((line) => line.offsetTop)`,
    );
    assert.ok(tops.length > 5 && new Set(tops).size === tops.length, 'Each line of a difference has a row of its own.');
  });

  it('says who approved, and marks the plan that was carried out', async () => {
    const { frame } = await show(stepsOf('rolled-back-after-approval'));
    assert.match(await frame.locator('.entry').first().innerText(), /Later in this run: rolled back|Approved by/);
    assert.match(await textOf(frame, 'main'), /Approved by\s*unknown, 2026-/);
  });

  it('an unreadable attachment is named, and the others are shown', async () => {
    const { frame } = await show(stepsOf('unreadable'));
    assert.match(await textOf(frame, 'main'), /The report HelmSafeDeploy-shop\.json cannot be shown: it is not JSON\./);
    assert.equal(await frame.getByText('Release shop in namespace prod was rolled back').count(), 1);
  });

  it('draws the timeline of a step when it is asked for, from one more request', async () => {
    const { frame } = await show(stepsOf('rolled-back'));
    const before = stage.run.requests.length;
    await frame.getByRole('heading', { name: 'Timeline' }).click();
    await frame.locator('.timeline .bar.bad').first().waitFor();
    assert.equal(stage.run.requests.length, before + 1);
    assert.match(await textOf(frame, '.timeline'), /Deployment\/web[^]*failed after[^]*first seen:/);
  });

  it('lists once, reads each of a few reports, and nothing else', async () => {
    await show(stepsOf('deployed'));
    const { projectId, buildId, requests } = stage.run;
    const build = `/fabrikam/${projectId}/_apis/build/builds/${buildId}`;
    assert.deepEqual(
      requests.map((path) => path.slice(build.length).replace(/^\/[0-9a-f-]{36}\/[0-9a-f-]{36}/, '')).sort(),
      [
        '/attachments/helm-safe-deploy.report',
        `/attachments/helm-safe-deploy.report/${reportName('deployed')}`,
        '/timeline',
      ],
    );
  });

  it('asks for several reports at once, and for at most six', async () => {
    stage.run.delayMs = 300;
    await show(stepsOf('many')).finally(() => (stage.run.delayMs = 0));
    assert.ok(stage.run.mostAtOnce > 1 && stage.run.mostAtOnce <= 6, `${stage.run.mostAtOnce} at once`);
  });

  it('shows a fleet of 1,000 reports from one list, and reads the few that it opens', async () => {
    const [step] = stepsOf('deployed');
    assert.ok(step !== undefined);
    const fleet = Array.from({ length: 1000 }, (_, index) => ({ ...step, job: `Deploy cluster-${index}` }));
    const { frame } = await show(fleet);
    assert.equal(await frame.locator('.entry').count(), 1000);
    const lists = stage.run.requests.filter((path) => /\/(attachments\/[^/]*|timeline)$/.test(path));
    assert.equal(lists.length, 2);
    assert.ok(stage.run.requests.length <= 30, `${stage.run.requests.length} requests`);
    await frame.getByLabel('Filter').fill('cluster-77');
    await frame.getByText('11 shown').waitFor();
    const before = stage.run.requests.length;
    await frame.locator('.entry:not([open]):visible > summary').first().click();
    await frame.locator('.entry[open]:visible .answers').first().waitFor();
    assert.ok(stage.run.requests.length <= before + 1);
  });

  it('renders 200 workloads and a log of 5,000 lines', async () => {
    const { frame, page } = await show([stepWith(JSON.stringify(largeReport()))]);
    await unfold({ frame, page });
    assert.equal(await frame.locator('.tree [data-object^="Deployment/"]').count(), 200);
    const log = frame.locator('.log').filter({ hasText: 'line 4999' });
    assert.equal(await log.count(), 1);
  });

  it('follows a run until its end: the report appears, and what had the focus keeps it', async () => {
    const [broken] = stepsOf('rolled-back');
    assert.ok(broken !== undefined);
    const first = { ...broken, job: 'Deploy first' };
    const tab = await show([first, openStep('inProgress')]);
    const { frame, page } = tab;
    assert.match(await textOf(frame, '.live'), /running for 1 min[^]*Deployment\/cart[^]*1 of 2 pods is ready\./);
    const button = frame.getByRole('button', { name: 'Copy as Markdown' }).first();
    await button.focus();
    await page.evaluate('window.scrollTo(0, 40)');
    const scrolled = await page.evaluate<number>('window.scrollY');
    const [good] = stepsOf('deployed');
    assert.ok(good !== undefined);
    stage.run.steps = [first, { ...good, job: 'Deploy second' }];
    await frame.getByText('Release shop in namespace prod is deployed').waitFor({ timeout: 20_000 });
    assert.equal(await inTab(page, 'document.activeElement.textContent'), 'Copy as Markdown');
    assert.equal(await page.evaluate<number>('window.scrollY'), scrolled);
    await frame.locator('.noted:empty').waitFor({ state: 'attached' });
    const requests = stage.run.requests.length;
    await frame.locator('.live:empty').waitFor({ state: 'attached' });
    assert.equal(stage.run.requests.length, requests);
  });

  it('obeys Retry-After', async () => {
    stage.run.answers.push((response) => response.writeHead(429, { 'Retry-After': '2' }).end());
    const began = Date.now();
    const { frame } = await show(stepsOf('deployed'));
    assert.match(await textOf(frame, '.top .said'), /1 report/);
    assert.ok(Date.now() - began >= 2000);
  });

  it('shows a failure of the server in words', async () => {
    for (let count = 0; count < 2; count += 1) stage.run.answers.push((response) => response.writeHead(500).end());
    const { frame } = await show(stepsOf('deployed'));
    assert.match(
      await textOf(frame, '.problems'),
      /The reports of this run cannot be listed: the server answered 500\./,
    );
  });

  it('copies a report as Markdown', async () => {
    const { frame, page } = await show(stepsOf('rolled-back'), { hasClipboard: true });
    await frame.getByRole('button', { name: 'Copy as Markdown' }).click();
    await frame.getByText('Copied.').waitFor();
    const copied = await page.evaluate<string>('navigator.clipboard.readText()');
    assert.match(copied, /^\*\*Release shop in namespace prod was rolled back\*\*/);
    assert.match(copied, /_build\/results\?buildId=42&view=helm-safe-deploy\.helm-safe-deploy\.rollout-tab/);
  });

  it('selects the Markdown where the host gives the frame no clipboard', async () => {
    const { frame, page } = await show(stepsOf('rolled-back'), { hasClipboard: false });
    await frame.getByRole('button', { name: 'Copy as Markdown' }).click();
    await frame.locator('textarea').waitFor();
    const selected = await inTab<string>(
      page,
      '((area) => area.value.slice(area.selectionStart, area.selectionEnd))(document.activeElement)',
    );
    assert.match(selected, /^\*\*Release shop in namespace prod was rolled back\*\*[^]*\n$/);
  });

  it('a link to a workload unfolds it and gives it the focus', async () => {
    const key = `${recordId(0)}/${reportName('rolled-back')}`;
    const { page } = await show(stepsOf('rolled-back'), { parameters: { rollout: `${key}~Deployment/web` } });
    assert.equal(await inTab(page, `document.activeElement.closest('[data-object]').dataset.object`), 'Deployment/web');
    assert.equal(await inTab(page, `document.activeElement.closest('details').open`), true);
  });

  it('puts a link to a workload into the address of the page', async () => {
    const { frame, page } = await show(stepsOf('rolled-back'));
    await unfold({ frame, page });
    await frame.locator('[data-object="Deployment/web"]').getByRole('button', { name: 'Copy link' }).click();
    await page.waitForFunction('window.hostSettings.parameters.rollout !== undefined');
    const parameters = await page.evaluate<Record<string, string>>('window.hostSettings.parameters');
    assert.equal(parameters['rollout'], `${recordId(0)}/${reportName('rolled-back')}~Deployment/web`);
  });

  it('takes the colours of the host, and follows a change', async () => {
    const { frame, page } = await show(stepsOf('rolled-back'), { theme: 'light' });
    await page.evaluate(
      `window.hostRecord.setTheme({ 'background-color': 'rgb(32, 31, 30)', 'text-primary-color': 'rgba(255, 255, 255, .9)' })`,
    );
    await frame.locator('html[data-theme="dark"]').waitFor();
    assert.deepEqual(await accessibilityProblems(page), []);
  });

  it('tells the host that it is there, and how high it is', async () => {
    const { frame, page } = await show(stepsOf('rolled-back'));
    await page.waitForFunction('window.hostRecord.loaded && window.hostRecord.heights.length > 0');
    const heightOf = (): Promise<number> => page.evaluate<number>('window.hostRecord.heights.at(-1)');
    const before = await heightOf();
    await frame.getByRole('heading', { name: 'Facts' }).click();
    await page.waitForFunction(`window.hostRecord.heights.at(-1) > ${before}`);
    assert.equal(await inTab(page, 'document.documentElement.scrollHeight <= innerHeight'), true);
  });

  it('can be used with the keyboard alone', async () => {
    const { frame, page } = await show(stepsOf('rolled-back'));
    for (let presses = 0; presses < 12; presses += 1) {
      await page.keyboard.press('Tab');
      const focused = await frame.locator(':focus').allInnerTexts();
      if (focused[0]?.trim() !== 'Facts') continue;
      await page.keyboard.press('Enter');
      await frame.locator('dt').first().waitFor();
      return;
    }
    assert.fail('The section Facts did not get the focus.');
  });

  for (const [title, options] of [
    ['320 px', { width: 320 }],
    ['4K', { width: 3840, height: 2160 }],
    ['200 % zoom', { width: 683, height: 384, context: { deviceScaleFactor: 2 } }],
    ['forced colours', { context: { forcedColors: 'active' } }],
    ['reduced motion', { context: { reducedMotion: 'reduce' } }],
  ] as const) {
    it(`fits and is readable with ${title}`, async () => {
      for (const state of ['rolled-back', 'planned', 'running']) {
        const tab = await show(stepsOf(state), options);
        await unfold(tab);
        await picture(tab.page, `${state}-${title.replace(/\W+/g, '-')}`);
        const overflow = await inTab<number>(tab.page, tooWide);
        assert.equal(overflow, 0, `${state} is ${overflow} px too wide`);
        const moving = await inTab<number>(tab.page, 'document.getAnimations().length');
        if (title === 'reduced motion') assert.equal(moving, 0);
      }
    });
  }

  const hostileTexts = [
    '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>',
    '##vso[task.setvariable variable=x]y',
    '\u001b[31mred\u001b[0m \u202egnp.exe',
    'x'.repeat(1_000_000),
  ];
  for (const [index, hostile] of hostileTexts.entries()) {
    it(`shows hostile text harmlessly (${index + 1} of ${hostileTexts.length})`, async () => {
      const object = { kind: hostile, name: hostile, health: 'failed', message: hostile };
      const report = {
        schemaVersion: 1,
        task: 'HelmSafeDeploy',
        ...Object.fromEntries(
          ['release', 'namespace', 'reason', 'message', 'advice', 'failedWorkload', 'chart'].map((name) => [
            name,
            hostile,
          ]),
        ),
        outcome: 'failed',
        objects: [object],
        evidence: [{ object: hostile, kind: 'log', title: hostile, lines: [hostile] }],
      };
      const tab = await show([stepWith(JSON.stringify(report))]);
      await unfold(tab);
      assert.equal(await inTab(tab.page, 'window.hacked'), undefined);
      assert.equal(await tab.frame.locator('img, main script').count(), 0);
      const shown = await tab.frame.locator('main').innerText();
      assert.deepEqual(
        ['\u001b', '\u202e'].filter((mark) => shown.includes(mark)),
        [],
      );
      assert.equal(await inTab<number>(tab.page, tooWide), 0);
    });
  }

  for (const [title, content] of [
    ['a list', '[]'],
    [
      'wrong types',
      JSON.stringify({ schemaVersion: 1, task: 'HelmSafeDeploy', objects: 7, evidence: [[]], message: {} }),
    ],
    [
      'a newer form',
      JSON.stringify({ schemaVersion: 9, task: 'HelmSafeDeploy', release: 'shop', outcome: 'evaporated' }),
    ],
    ['another task', JSON.stringify({ schemaVersion: 1, task: 'constructor' })],
  ] as const) {
    it(`says what it can of a report that is ${title}`, async () => {
      const { frame } = await show([stepWith(content)]);
      assert.match(await textOf(frame, '.entry'), /cannot be shown|A newer task wrote this report|failed/);
    });
  }
});

const tooWide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

/** Evaluates an expression in the frame of the tab. */
function inTab<Result>(page: Page, expression: string): Promise<Result> {
  const frame = page.frames().find((each) => each !== page.mainFrame());
  assert.ok(frame !== undefined);
  return frame.evaluate<Result>(expression);
}

async function textOf(frame: FrameLocator, selector: string): Promise<string> {
  return (await frame.locator(selector).allInnerTexts()).join('\n');
}

/** The pictures are for people, and are not compared. */
async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: path.join(pictureFolder(), `${name}.png`), fullPage: true });
}
