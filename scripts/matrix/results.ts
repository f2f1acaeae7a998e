import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { repository } from '../build';
import { readVsix } from '../package/vsix';
import type { CaseResult } from '../../test/matrix/play';
import type { PlainResult } from '../../test/matrix/plain';

export type Result =
  { readonly kind: 'ours'; readonly result: CaseResult } | { readonly kind: 'plain'; readonly result: PlainResult };

/**
 * Results on disk, line by line, so that a stopped run can be resumed. They belong to one package; results of plain
 * Helm do not depend on the package.
 */
export interface ResultStore {
  readonly folder: string;
  readonly earlier: readonly Result[];
  readonly add: (result: Result) => void;
  /** Stores the log of a case that did not hold, and returns its path. */
  readonly addDetails: (id: string, text: string) => string;
}

export function openResults(vsix: Uint8Array): ResultStore {
  const results = path.join(repository, 'dist', 'matrix');
  const folder = path.join(results, fingerprint(vsix));
  fs.mkdirSync(folder, { recursive: true });
  const files = {
    ours: path.join(folder, 'results.jsonl'),
    plain: path.join(results, `plain-${fingerprintOfTheMatrix()}.jsonl`),
  };
  const lines = Object.values(files).flatMap((file) =>
    fs.existsSync(file) ? linesOf(fs.readFileSync(file, 'utf8')) : [],
  );
  return {
    folder,
    earlier: lines,
    add: (result) => {
      fs.appendFileSync(files[result.kind], `${JSON.stringify(result)}\n`);
    },
    addDetails: (id, text) => {
      const details = path.join(folder, `${id.replaceAll('/', '--')}.log`);
      fs.writeFileSync(details, text);
      return path.relative(repository, details);
    },
  };
}

/** Covers only the code, because packaging it again gives different bytes. */
function fingerprint(vsix: Uint8Array): string {
  const hash = createHash('sha256');
  for (const [name, content] of [...readVsix(vsix)].sort(([one], [other]) => one.localeCompare(other))) {
    if (/^(HelmSafeDeploy|ApproveAndRollback)\//.test(name) && name.endsWith('.js')) hash.update(name).update(content);
  }
  return hash.digest('hex').slice(0, 12);
}

/** Covers every file that decides what happens to plain Helm. */
function fingerprintOfTheMatrix(): string {
  const folder = path.join(repository, 'test', 'matrix');
  const hash = createHash('sha256');
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const file = path.join(folder, name);
    if (fs.statSync(file).isFile()) hash.update(name).update(fs.readFileSync(file));
  }
  return hash.digest('hex').slice(0, 12);
}

/** The last line may be incomplete. */
function linesOf(text: string): Result[] {
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Result];
    } catch {
      return [];
    }
  });
}
