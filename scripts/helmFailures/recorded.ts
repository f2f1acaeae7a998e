import fs from 'node:fs';
import path from 'node:path';

const folder = path.join(import.meta.dirname, '..', '..', 'test', 'unit', 'fixtures', 'helmFailures');
const heading = /^=== Helm (.*) ===\n/m;

/** The stderr of some versions of Helm (for example 3.17 and 4.2) in one case. */
export interface RecordedFailure {
  readonly name: string;
  readonly versions: readonly string[];
  readonly text: string;
}

/** All recorded failures. Each case has one file, with one part for each text. */
export function recordedFailures(): RecordedFailure[] {
  return fs
    .readdirSync(folder)
    .sort()
    .flatMap((file) => readFailure(file.replace(/\.txt$/, '')));
}

/** Replaces the recorded text of this version. */
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
