import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../tasks/common/core/kubernetes/object';
import { objectStatus } from '../tasks/common/core/status/objectStatus';

/**
 * Measures the rules for the status of objects: `npm run status-figures -- FOLDER`. Each document of the folder's YAML
 * files is one object, with the comment `# expected: Current`, `InProgress` or `Failed` above it. `--list` names the
 * objects that are judged otherwise. Prints the share of the broken or progressing objects that are noticed (not
 * Current) and of the healthy ones that are not Current.
 */
export interface StatusFigures {
  troubled: number;
  noticed: number;
  healthy: number;
  falselyNoticed: number;
  wrong: string[];
}

const expectation = /^# expected: (Current|InProgress|Failed)\b/m;

export function measureStatus(folder: string, now: Date): StatusFigures {
  const figures: StatusFigures = { troubled: 0, noticed: 0, healthy: 0, falselyNoticed: 0, wrong: [] };
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.ya?ml$/.test(name));
  for (const file of files.toSorted()) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    let start = 0;
    for (const document of parseAllDocuments(text)) {
      const above = text.slice(start, document.contents?.range[0]);
      start = document.range[2];
      const expected = expectation.exec(above)?.[1];
      if (expected === undefined) continue;
      const object = document.toJS() as KubeObject;
      const { status, reason, message } = objectStatus(Object.assign({ metadata: { name: file } }, object), now);
      const isNoticed = status !== 'Current';
      if (expected === 'Current') {
        figures.healthy += 1;
        if (isNoticed) figures.falselyNoticed += 1;
      } else {
        figures.troubled += 1;
        if (isNoticed) figures.noticed += 1;
      }
      if (isNoticed === (expected === 'Current')) {
        figures.wrong.push(`${file}: ${expected} expected, ${status} ${reason}: ${message}`);
      }
    }
  }
  return figures;
}

function main([folder = '', option]: readonly string[]): void {
  const { troubled, noticed, healthy, falselyNoticed, wrong } = measureStatus(folder, new Date());
  const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
  if (option === '--list') for (const line of wrong) console.log(line);
  console.log(`broken or progressing, noticed: ${noticed} of ${troubled} (${percent(noticed, troubled)})`);
  console.log(`healthy, not Current: ${falselyNoticed} of ${healthy} (${percent(falselyNoticed, healthy)})`);
}

if (process.argv[1] === import.meta.filename) main(process.argv.slice(2));
