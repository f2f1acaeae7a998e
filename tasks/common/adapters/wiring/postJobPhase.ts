import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readInterruption, type Interruption } from '../../core/lock/interruption';
import { interruptionVariable, privateFolderVariable } from '../../core/inputs/taskVariables';
import { removePrivateFolder } from '../agent/privateFolder';
import { processesStartedWith } from '../system/processes';
import { takeTaskEnvironment } from '../agent/taskEnvironment';

const lookupVariable = 'VSTS_PROCESS_LOOKUP_ID';

/**
 * Runs after every step, whatever its result was. It removes credentials that a killed main phase could not remove, and
 * repairs the interrupted work. If nothing is left to do, it logs nothing.
 */
export function postJobPhase(putInOrder: (left: Interruption) => void): void {
  const environment = takeTaskEnvironment({ ...process.env });
  const announced = environment.taskVariable(privateFolderVariable);
  const tempDirectory = environment.variable('Agent.TempDirectory');
  if (announced !== undefined && tempDirectory !== undefined) removePrivateFolder(announced, tempDirectory);
  const said = environment.taskVariable(interruptionVariable);
  const left = said === undefined ? silentMain() : readInterruption(said);
  if (left !== undefined) putInOrder(left);
}

/**
 * Finds a main phase that still runs and has set no task variable yet: its step was cancelled at its start, and in a
 * container it got no signal. Only Linux shows the processes of a job; on other systems the agent ends them.
 */
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
