'use strict';
// Runs tfx with the token of the environment. tfx takes a token only as an argument, and every user of the machine can
// read the arguments of a process. Here it becomes an argument after the process has started, where nobody sees it.
// Usage: TOKEN=... node tfxWithToken.cjs TFX [ARGUMENT ...]

const [, , tfx, ...args] = process.argv;
const token = process.env.TOKEN ?? '';
delete process.env.TOKEN;
process.argv = [process.argv[0], tfx, ...args, '--auth-type', 'pat', '--token', token];
require(tfx);
