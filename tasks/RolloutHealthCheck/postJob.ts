import { removePrivateFolder } from '../common/adapters/agent/privateFolder';
import { privateFolderVariable } from '../common/core/inputs/taskVariables';
import { takeTaskEnvironment } from '../common/adapters/agent/taskEnvironment';

/** A killed main phase could not remove its credentials, so the post-job phase does. It runs after every step. */
const environment = takeTaskEnvironment(process.env);
const announced = environment.taskVariable(privateFolderVariable);
const tempDirectory = environment.variable('Agent.TempDirectory');
if (announced !== undefined && tempDirectory !== undefined) removePrivateFolder(announced, tempDirectory);
