import { createEntry, type Entry } from './entries';
import type { Host } from './host/host';
import type { Source } from './host/source';
import type { Attachment } from './model/attachments';
import { addressOf, placeParameter, placeText, readPlace, type Place } from './model/link';
import { openedAtFirst, overviewSentence, ranked } from './model/overview';
import { nextPause } from './model/pace';
import { openSteps, placeWords, type Run } from './model/run';
import { messageOf, reportReader, type ReportReader } from './reports';
import { filterPart } from './view/filter';
import { makePage, type Page } from './view/page';

/** Up to this number of reports, all are read at once. Of more, the list shows what their names say. */
const fewReports = 12;
/** Of many reports whose names do not say the outcome, so many are read. */
const readUnasked = 24;
/** Of many reports, so many of the worst are opened. */
const openedUnasked = 3;
/** So many running steps show the state of their objects. */
const stepsWithRows = 3;

export interface Clock {
  now(): number;
  sleep(seconds: number): Promise<void>;
}

interface App {
  host: Host;
  source: Source;
  clock: Clock;
  page: Page;
  reader: ReportReader;
  entries: Map<string, Entry>;
  place: Place | undefined;
  run: Run | undefined;
}

/** Shows the run in `root` until the run is over. */
export async function showRun(root: HTMLElement, { host, source, clock }: Pick<App, 'host' | 'source' | 'clock'>) {
  const page = makePage(root);
  const place = readPlace(await host.parameter(placeParameter));
  const reader = reportReader(source);
  const app: App = { host, source, clock, page, reader, entries: new Map(), place, run: undefined };
  const [run] = await Promise.allSettled([source.run(), listReports(app)]);
  if (run.status === 'fulfilled') app.run = run.value;
  else page.problem(`The timeline of this run cannot be read: ${messageOf(run.reason)}.`);
  arrange(app);
  showPlace(app);
  root.dataset['ready'] = '';
  await follow(app);
}

/** Lists the reports, and reads those that are not known yet: all of a few, the telling ones of many. */
async function listReports(app: App): Promise<void> {
  const { source, page, entries } = app;
  let attachments: Attachment[];
  try {
    attachments = await source.list('report');
  } catch (error) {
    page.problem(`The reports of this run cannot be listed: ${messageOf(error)}.`);
    return;
  }
  const fresh = attachments.filter(({ key }) => !entries.has(key)).map((attachment) => addEntry(app, attachment));
  const isFew = entries.size <= fewReports;
  if (!isFew && page.tools.childElementCount === 0) {
    page.tools.append(filterPart(() => [...entries.values()]));
    page.list.classList.add('many');
  }
  const asked = fresh.filter((entry) => entry.item().facts.outcome === '').slice(0, readUnasked);
  const wanted = new Set([...(isFew ? fresh : asked), ...fresh.filter(({ isSelected }) => isSelected)]);
  arrange(app);
  await Promise.all([...wanted].map((entry) => entry.load()));
  arrange(app);
  const opened = openedAtFirst(ranked(fresh.map((entry) => entry.item())));
  for (const key of isFew ? opened : opened.slice(0, openedUnasked)) entries.get(key)?.open();
  for (const entry of fresh) if (entry.problem() !== undefined) entry.open();
}

function addEntry(app: App, attachment: Attachment): Entry {
  const { host, reader, place } = app;
  const placeOf = (object: string): Place => ({ report: attachment.key, object });
  const entry = createEntry({
    attachment,
    read: () => reader.read(attachment),
    rows: () => rowsOf(app, attachment.recordId),
    place: () => placeWords(attachment.recordId, app.run),
    address: (object) => addressOf({ ...host, project: host.projectName }, placeOf(object)),
    point: (object) => {
      host.setParameter(placeParameter, placeText(placeOf(object)));
    },
    selected: place?.report === attachment.key ? place.object : undefined,
  });
  app.entries.set(attachment.key, entry);
  return entry;
}

async function rowsOf({ source, run }: App, recordId: string) {
  const record = run?.records.get(recordId);
  const own = [...(run?.records.values() ?? [])].filter(({ parentId }) => parentId === recordId);
  return record === undefined || record.rowsId === '' ? own : [...own, ...(await source.rows(record.rowsId))];
}

/** Puts the entries into their order. An entry that is at its place already is not touched, so that it keeps the focus. */
function arrange({ page, entries, run }: App): void {
  const order = ranked([...entries.values()].map((entry) => entry.item()));
  order.forEach((rank, index) => {
    const entry = entries.get(rank.key);
    if (entry === undefined) return;
    entry.rank(rank);
    if (page.list.children[index] !== entry.element)
      page.list.insertBefore(entry.element, page.list.children[index] ?? null);
  });
  page.say(stateSentence(run, order.length === 0 ? '' : overviewSentence(order)));
}

/** One sentence for the state: waiting, running, done, or nothing here. */
function stateSentence(run: Run | undefined, overview: string): string {
  const open = openSteps(run);
  const running = open.filter(({ state }) => state === 'running').length;
  const parts = [
    overview,
    running === 0 ? '' : `${running} ${running === 1 ? 'step is' : 'steps are'} running.`,
    running > 0 || open.length === 0 ? '' : 'The next step of this extension has not begun yet.',
  ].filter((part) => part !== '');
  if (parts.length > 0) return parts.join(' ');
  return run === undefined || run.isOver
    ? 'No step of this extension has left a report in this run.'
    : 'No step of this extension has begun yet.';
}

/** Asks for the run's timeline until the run is over. Each poll is one request, and one for each running step. */
async function follow(app: App): Promise<void> {
  const { page, source, clock } = app;
  let pause: number | undefined;
  let before = '';
  while (app.run !== undefined && !app.run.isOver) {
    const state = await showLive(app, app.run);
    pause = nextPause(pause, state !== before);
    before = state;
    page.note(`The run goes on. The next look is in ${pause} s.`);
    await clock.sleep(pause);
    const finished = openSteps(app.run).length;
    try {
      app.run = await source.run();
    } catch (error) {
      page.note(`The timeline could not be read just now: ${messageOf(error)}.`);
      continue;
    }
    if (app.run.isOver || openSteps(app.run).length !== finished) await listReports(app);
    arrange(app);
  }
  page.note('');
  if (app.run !== undefined) await showLive(app, app.run);
}

/** Returns a text that differs when something has happened. */
async function showLive(app: App, run: Run): Promise<string> {
  const open = run.isOver ? [] : openSteps(run);
  const running = open.filter(({ state }) => state === 'running').slice(0, stepsWithRows);
  const rows = new Map(
    await Promise.all(running.map(async ({ id }) => [id, await rowsOf(app, id).catch(() => [])] as const)),
  );
  const steps = open.map((step) => ({ step, place: placeWords(step.id, run), rows: rows.get(step.id) ?? [] }));
  app.page.live.update(steps, app.clock.now());
  return JSON.stringify(steps.map(({ step, rows: own }) => [step.id, step.state, own]));
}

function showPlace({ entries, place }: App): void {
  const entry = entries.get(place?.report ?? '');
  if (entry === undefined || place === undefined) return;
  entry.open();
  const objects = [...entry.element.querySelectorAll<HTMLElement>('[data-object]')];
  const target = objects.find(({ dataset }) => dataset['object'] === place.object);
  (target ?? entry.element).scrollIntoView({ block: 'center' });
  (target?.querySelector('summary') ?? target ?? entry.element.querySelector('summary'))?.focus({
    preventScroll: true,
  });
}
