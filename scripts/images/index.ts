import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { openBrowser } from '../../test/support/tab/browser';
import { cluster } from '../../test/support/cluster';
import { storedRuns, recordRuns, storeRuns, type RecordedRun } from '../../test/support/tab/realRuns';
import { openTabStage, type TabStage } from '../../test/support/tab/tabStage';
import type { ThemeName } from '../../test/support/tab/themes';
import { repository } from '../build';
import { smallPng } from './smallPng';
import { terminalPage } from './terminal';

const usage = `Usage: npm run images [-- OPTIONS]

Draws the pictures in images/ and the icons of the tasks. Icons come from the SVG files in images/. The pictures of the
results tab show the runs that were recorded last, and the picture of a terminal shows the end of a demo.
  --record      runs the packaged tasks on the embedded cluster first, and pictures those runs
  --demo FILE   the output of FORCE_COLOR=1 npm run demo
  --help`;

const images = path.join(repository, 'images');
const size = { width: 1366, height: 768 };

interface Shot {
  file: string;
  /** The title of a recorded run. */
  run: string;
  /** Only the last step of the run is shown. */
  isLastStep?: boolean;
  theme: ThemeName;
  /** Headings of the parts that are unfolded in the first report. */
  unfolded: readonly string[];
}

const shots: readonly Shot[] = [
  { file: 'tab-rolled-back.png', run: 'rolled-back', theme: 'light', unfolded: ['Objects and evidence'] },
  { file: 'tab-timeline.png', run: 'rolled-back', theme: 'dark', unfolded: ['Timeline'] },
  { file: 'tab-plan.png', run: 'waiting-for-approval', isLastStep: true, theme: 'light', unfolded: [] },
];

/** Icons by their source in images/: where they go, and their width and height in pixels. */
const icons: Readonly<Record<string, { to: string; pixels: number }>> = {
  'extension-icon.svg': { to: 'images/extension-icon.png', pixels: 128 },
  'HelmSafeDeploy.svg': { to: 'tasks/HelmSafeDeploy/icon.png', pixels: 32 },
  'RolloutHealthCheck.svg': { to: 'tasks/RolloutHealthCheck/icon.png', pixels: 32 },
  'ApproveAndRollback.svg': { to: 'tasks/ApproveAndRollback/icon.png', pixels: 32 },
};

async function drawIcons(browser: Browser): Promise<void> {
  for (const [from, { to, pixels }] of Object.entries(icons)) {
    const page = await browser.newPage({ viewport: { width: pixels, height: pixels } });
    const svg = fs.readFileSync(path.join(images, from), 'utf8');
    await page.setContent(`<style>body{margin:0}svg{display:block}</style>${svg}`);
    await write(path.join(repository, to), await page.screenshot({ omitBackground: true }), 128);
    await page.close();
  }
}

async function pictureTab(browser: Browser, stage: TabStage, shot: Shot): Promise<void> {
  const { file, run, theme, unfolded, isLastStep = false } = shot;
  const recorded = storedRuns().find(({ title }) => title === run);
  if (recorded === undefined) throw new Error(`No run «${run}» was recorded: npm run images -- --record does it.`);
  const { steps } = withoutMadeUpName(recorded);
  stage.run.steps = isLastStep ? steps.slice(-1) : steps;
  const tab = await stage.open(browser, { theme, ...size });
  const { page, frame } = tab;
  await frame.locator('main[data-ready]').waitFor();
  for (const heading of unfolded) await frame.locator('summary', { hasText: heading }).first().click();
  await frame.locator('[data-waiting]').first().waitFor({ state: 'detached' });
  await page.mouse.move(0, 0);
  await write(path.join(images, file), await page.screenshot(), 16);
  await tab.close();
}

/** A recording is made in a namespace with a random name. */
function withoutMadeUpName(run: RecordedRun): RecordedRun {
  return JSON.parse(JSON.stringify(run).replace(/\btab-[0-9a-f]{8}\b/g, 'shop')) as RecordedRun;
}

async function pictureTerminal(page: Page, output: string): Promise<void> {
  await page.setViewportSize(size);
  await page.setContent(terminalPage('npm run demo', output));
  await write(path.join(images, 'demo.png'), await page.screenshot(), 32);
}

async function write(file: string, png: Buffer, colours: number): Promise<void> {
  const small = await smallPng(png, colours);
  fs.writeFileSync(file, small);
  console.log(`${path.relative(repository, file).padEnd(38)} ${String(small.length).padStart(6)} bytes`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { record: { type: 'boolean' }, demo: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help === true) {
    console.log(usage);
    return;
  }
  if (values.record === true) storeRuns(await recordRuns(await cluster()));
  const browser = await openBrowser(console.log);
  try {
    await drawIcons(browser);
    const stage = await openTabStage();
    for (const shot of shots) await pictureTab(browser, stage, shot);
    await stage.close();
    if (values.demo !== undefined) {
      await pictureTerminal(await browser.newPage(), fs.readFileSync(values.demo, 'utf8'));
    }
  } finally {
    await browser.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
