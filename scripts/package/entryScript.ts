/** The agent's handler Node20_1, the oldest that the tasks declare. */
export const oldestNodeMajor = 20;

/**
 * The file that the agent starts: ECMAScript 5, so that a Node too old for the bundle still reads it and can say what is wrong.
 * (An agent on Alpine Linux falls back to Node 10 when the handler that it chose is not available there.)
 * It never exits by itself: what was written to a pipe would be lost.
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
