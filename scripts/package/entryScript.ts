/** The Node version of the agent's handler Node20_1, the oldest that the tasks declare. */
export const oldestNodeMajor = 20;

/**
 * The file that the agent starts. It is ECMAScript 5, so that a Node that is too old for the bundle can still read it
 * and report the problem. (An agent on Alpine Linux falls back to Node 10 if the chosen handler is not available
 * there.) The script never calls exit, because that would lose output in a pipe.
 */
export function entryScript(phase: string): string {
  return `'use strict';
var major = parseInt(process.versions.node, 10);
if (major >= ${String(oldestNodeMajor)}) {
  require('./main.js').${phase}();
} else {
  var message = ('This task needs Node ${String(oldestNodeMajor)} or later, but the agent started it with Node ' + process.versions.node +
    ' (' + process.execPath + '). Update the agent to its newest version, or run the job on another agent;' +
    ' agents that bring no Node ${String(oldestNodeMajor)} for their operating system (old Linux distributions, Alpine) cannot run it.')
    .replace(/%/g, '%AZP25').replace(/\\r/g, '%0D').replace(/\\n/g, '%0A');
  process.stdout.write('##vso[task.logissue type=error]' + message + '\\n##vso[task.complete result=Failed]' + message + '\\n');
}
`;
}
