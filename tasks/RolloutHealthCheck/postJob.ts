import { removePrivateFolder } from '../common/adapters/agent/privateFolder';
import { privateFolderVariable } from '../common/core/inputs/taskVariables';
import { takeTaskEnvironment } from '../common/adapters/agent/taskEnvironment';

/**
 * A killed main phase could not remove its credentials, so the post-job phase removes them. It runs after every step,
 * however the step ended. If there is nothing to do, it logs nothing and does not fail.
 */
const environment = takeTaskEnvironment(process.env);
const announced = environment.taskVariable(privateFolderVariable);
const tempDirectory = environment.variable('Agent.TempDirectory');
if (announced !== undefined && tempDirectory !== undefined) removePrivateFolder(announced, tempDirectory);
