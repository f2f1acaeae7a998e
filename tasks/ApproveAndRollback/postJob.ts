import { removePrivateFolder } from '../common/adapters/privateFolder';
import { takeTaskEnvironment } from '../common/adapters/taskEnvironment';
import { readInterruption } from '../common/core/interruption';
import { interruptionVariable, privateFolderVariable } from '../common/core/taskVariables';

/**
 * The second net, run after every step, whatever became of it. It removes the credentials that a killed main phase could
 * not, and carries on a rollback that was under way. Where there is nothing to do it says nothing.
 */
const environment = takeTaskEnvironment({ ...process.env });
const announced = environment.taskVariable(privateFolderVariable);
const tempDirectory = environment.variable('Agent.TempDirectory');
if (announced !== undefined && tempDirectory !== undefined) removePrivateFolder(announced, tempDirectory);

const interruption = readInterruption(environment.taskVariable(interruptionVariable));
// What it takes to go on is loaded only where there is something to do.
if (interruption !== undefined) void import('./resume').then(({ runResume }) => { runResume(interruption); }); // prettier-ignore
