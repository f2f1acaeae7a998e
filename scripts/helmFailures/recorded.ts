import fs from 'node:fs';
import path from 'node:path';

const folder = path.join(import.meta.dirname, '..', '..', 'test', 'unit', 'fixtures', 'helmFailures');
const heading = /^=== Helm (.*) ===\n/m;

/** What Helms of some versions (3.17, 4.2) print to stderr in one case. */
export interface RecordedFailure {
  readonly name: string;
  readonly versions: readonly string[];
  readonly text: string;
}

/** All that is recorded: one file for each case, in it a part for each text. */
export function recordedFailures(): RecordedFailure[] {
  return fs
    .readdirSync(folder)
    .sort()
    .flatMap((file) => readFailure(file.replace(/\.txt$/, '')));
}

/** Takes the place of what was recorded of this version. */
export function recordFailure(name: string, version: string, text: string): void {
  const others = readFailure(name)
    .map((part) => ({ ...part, versions: part.versions.filter((each) => each !== version) }))
    .filter(({ versions }) => versions.length > 0);
  const same = others.find((part) => part.text === text);
  const parts = same === undefined ? [...others, { name, versions: [version], text }] : others;
  const all = parts.map((part) => (part === same ? { ...part, versions: [...part.versions, version] } : part));
  const sorted = all
    .map((part) => ({ ...part, versions: part.versions.toSorted(byNumber) }))
    .sort((one, other) => byNumber(one.versions[0] ?? '', other.versions[0] ?? ''));
  const content = sorted.map((part) => `=== Helm ${part.versions.join(', ')} ===\n${part.text}`).join('');
  fs.writeFileSync(path.join(folder, `${name}.txt`), content);
}

function readFailure(name: string): RecordedFailure[] {
  const file = path.join(folder, `${name}.txt`);
  if (!fs.existsSync(file)) return [];
  const [, ...parts] = fs.readFileSync(file, 'utf8').split(heading);
  return Array.from({ length: parts.length / 2 }, (_, at) => ({
    name,
    versions: (parts[2 * at] ?? '').split(', '),
    text: parts[2 * at + 1] ?? '',
  }));
}

function byNumber(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}
