import { parseArgs } from 'node:util';
import { adminApiServer, status } from '../cluster/cluster';
import { command } from '../cluster/command';
import { failureCases } from './cases';
import { provoke } from './provoke';
import { recordFailure } from './recorded';

const { values, positionals: helms } = parseArgs({
  allowPositionals: true,
  options: { cluster: { type: 'string', default: 'default' }, case: { type: 'string', multiple: true } },
});
const found = status(values.cluster);
if (found.kind !== 'present' || helms.length === 0) {
  console.error('usage: index.ts [--cluster NAME] [--case CASE]... HELM...   (npm run cluster -- up makes a cluster)');
  process.exit(2);
}
const stage = { server: adminApiServer(values.cluster), kubeconfig: found.description.kubeconfig };
let failed = 0;
for (const helm of helms) {
  const { stdout } = await command(helm, ['version', '--template', '{{.Version}}']);
  const line = /^v?(\d+\.\d+)/.exec(stdout)?.[1] ?? '';
  for (const name of values.case ?? Object.keys(failureCases)) {
    try {
      const said = await provoke(name, helm, stage);
      if (said !== undefined) recordFailure(name, line, said);
      console.log(`${line} ${name}`);
    } catch (error) {
      failed += 1;
      console.error(`${line} ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
process.exitCode = failed === 0 ? 0 : 1;
