import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

export interface Group {
  /** The name of the folder below test/. */
  name: string;
  files: string[];
  timeoutMilliseconds: number;
  /** True if its tests need all cores. The other groups run beside format, lint and types. */
  alone: boolean;
  /** True if its tests run the packaged extension, which must be built first. */
  needsPackage: boolean;
  /**
   * The number of its files that run at the same time, each in its own process. More than one suits tests that mostly
   * wait.
   */
  lanes: number;
}

export interface Plan {
  groups: Group[];
  /** True if format, lint and types run too, which is the case if nothing was selected. */
  withChecks: boolean;
  grep: string | undefined;
}

/**
 * The groups in the order in which they run: fast tests and those close to the code come first. Unlisted folders come
 * last.
 */
const knownGroups: readonly Omit<Group, 'files'>[] = [
  { name: 'unit', lanes: 1, timeoutMilliseconds: 60_000, alone: false, needsPackage: false },
  { name: 'flows', lanes: 1, timeoutMilliseconds: 60_000, alone: false, needsPackage: false },
  { name: 'adapters', lanes: 1, timeoutMilliseconds: 60_000, alone: false, needsPackage: false },
  { name: 'agent', lanes: 1, timeoutMilliseconds: 60_000, alone: false, needsPackage: false },
  { name: 'browser', lanes: 1, timeoutMilliseconds: 60_000, alone: true, needsPackage: false },
  { name: 'package', lanes: 1, timeoutMilliseconds: 120_000, alone: true, needsPackage: false },
  { name: 'cluster', lanes: 1, timeoutMilliseconds: 600_000, alone: true, needsPackage: false },
  { name: 'e2e', lanes: 2, timeoutMilliseconds: 600_000, alone: true, needsPackage: true },
];

/**
 * Plans `npm test [-- GROUP|FILE|FOLDER ...] [--grep TEXT]`. Throws if an argument matches nothing, so that a typing
 * mistake does not look like passing tests.
 */
export function planTests(root: string, args: readonly string[]): Plan {
  const { selectors, grep } = parseArguments(args);
  const names = readdirSync(path.join(root, 'test')).filter((name) => name !== 'support');
  const unknown = names
    .filter((name) => knownGroups.every((group) => group.name !== name))
    .map((name) => ({ name, timeoutMilliseconds: 60_000, alone: true, needsPackage: false, lanes: 1 }));
  const all = [...knownGroups, ...unknown].map((group) => ({
    ...group,
    files: testFiles(path.join(root, 'test', group.name)),
  }));
  const selected = selectors.map((selector) => selection(root, selector, all));
  const isSelected = (file: string) => selected.length === 0 || selected.some((files) => files.includes(file));
  const groups = all
    .map((group) => ({ ...group, files: group.files.filter(isSelected) }))
    .filter((group) => group.files.length > 0);
  return { groups, withChecks: selectors.length === 0 && grep === undefined, grep };
}

function parseArguments(args: readonly string[]): { selectors: string[]; grep: string | undefined } {
  const at = args.findIndex((arg) => arg === '--grep' || arg === '-g');
  if (at < 0) return { selectors: [...args], grep: undefined };
  const grep = args[at + 1];
  if (grep === undefined) throw new Error('--grep needs the text to look for in the titles of the tests.');
  return { selectors: [...args.slice(0, at), ...args.slice(at + 2)], grep };
}

function selection(root: string, selector: string, groups: readonly Group[]): string[] {
  const group = groups.find(({ name }) => name === selector);
  const target = path.resolve(root, selector);
  const files = group?.files ?? groups.flatMap((each) => each.files).filter((file) => isWithin(file, target));
  if (files.length > 0 || group !== undefined) return files;
  throw new Error(
    `${selector} is neither a group of tests (${groups.map(({ name }) => name).join(', ')}) nor a test file.`,
  );
}

function isWithin(file: string, target: string): boolean {
  return file === target || file.startsWith(target + path.sep);
}

function testFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => path.join(folder, name));
}
