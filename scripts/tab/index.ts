import { parseArgs } from 'node:util';
import { cluster } from '../../test/support/cluster';
import { recordRuns, storedRuns, storeRuns, type RecordedRun } from '../../test/support/tab/realRuns';
import { tabStates } from '../../test/support/tab/states';
import { openTabStage } from '../../test/support/tab/tabStage';
import { themes, type ThemeName } from '../../test/support/tab/themes';

const usage = `Usage: npm run tab [-- OPTIONS]

Shows the results tab in a page like that of a run, on this machine, until Ctrl+C.

Without options it shows every state of the tab, with reports that the tasks' flows make without a cluster.
  --record     runs the packaged tasks on the embedded cluster first, and shows those runs (npm run package makes the package)
  --recorded   shows the runs that were recorded last
  --theme T    light, dark or contrast [light]
  --help`;

async function record(): Promise<RecordedRun[]> {
  const runs = await recordRuns(await cluster());
  storeRuns(runs);
  return runs;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      record: { type: 'boolean' },
      recorded: { type: 'boolean' },
      theme: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    console.log(usage);
    return;
  }
  const theme = (Object.keys(themes) as ThemeName[]).find((name) => name === values.theme) ?? 'light';
  const made = (await tabStates()).map(({ name, steps }) => ({ title: name, steps }));
  const runs = values.record === true ? await record() : values.recorded === true ? storedRuns() : made;
  if (runs.length === 0) throw new Error('Nothing was recorded yet: npm run tab -- --record does it.');
  for (const { title, steps } of runs) {
    const stage = await openTabStage();
    stage.run.steps = steps;
    console.log(`${title.padEnd(28)} ${stage.hostAddress({ theme })}`);
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
