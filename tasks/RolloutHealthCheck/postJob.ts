import { removePrivateFolder } from '../common/adapters/agent/privateFolder';
import { privateFolderVariable } from '../common/core/inputs/taskVariables';
import { takeTaskEnvironment } from '../common/adapters/agent/taskEnvironment';

/**
 * The last net: a main phase that was killed could not remove its credentials. Runs after every step, whatever became of
 * it, so it says nothing and fails for nothing when there is nothing to do.
 */
const environment = takeTaskEnvironment(process.env);
const announced = environment.taskVariable(privateFolderVariable);
const tempDirectory = environment.variable('Agent.TempDirectory');
if (announced !== undefined && tempDirectory !== undefined) removePrivateFolder(announced, tempDirectory);
