import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readInterruption, type Interruption } from '../../core/lock/interruption';
import { interruptionVariable, privateFolderVariable } from '../../core/inputs/taskVariables';
import { removePrivateFolder } from '../agent/privateFolder';
import { processesStartedWith } from '../system/processes';
import { takeTaskEnvironment } from '../agent/taskEnvironment';

const lookupVariable = 'VSTS_PROCESS_LOOKUP_ID';

/** Removes credentials that a killed main phase left, and repairs its interrupted work. Otherwise it logs nothing. */
export function postJobPhase(putInOrder: (left: Interruption) => void): void {
  const environment = takeTaskEnvironment({ ...process.env });
  const announced = environment.taskVariable(privateFolderVariable);
  const tempDirectory = environment.variable('Agent.TempDirectory');
  if (announced !== undefined && tempDirectory !== undefined) removePrivateFolder(announced, tempDirectory);
  const published = environment.taskVariable(interruptionVariable);
  const left = published === undefined ? silentMain() : readInterruption(published);
  if (left !== undefined) putInOrder(left);
}

/** A main phase without a task variable: its container got no signal. On other systems the agent ends its processes. */
function silentMain(): Interruption | undefined {
  const job = process.env[lookupVariable];
  if (job === undefined || job === '') return undefined;
  const program = path.join(path.dirname(process.argv[1] ?? ''), 'index.js');
  const main = processesStartedWith(lookupVariable).find(({ mark, value }) => value === job && runs(mark, program));
  return main === undefined ? undefined : { release: '', namespace: '', revision: 0, process: main.mark };
}

function runs(mark: string, program: string): boolean {
  try {
    const pid = mark.split('/')[1] ?? '';
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(program);
  } catch {
    return false;
  }
}
