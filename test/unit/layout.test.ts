import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../../scripts/build';

const common = path.join(repository, 'tasks', 'common');

interface Folder {
  name: string;
  files: readonly string[];
  folders: readonly string[];
}

function foldersBelow(folder: string): Folder[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const files = entries.filter(({ name }) => name.endsWith('.ts')).map(({ name }) => name.replace(/\.ts$/, ''));
  const here = { name: path.relative(repository, folder), files, folders };
  return [here, ...folders.flatMap((name) => foldersBelow(path.join(folder, name)))];
}

function importsOf(file: string): string[] {
  const found = readFileSync(file, 'utf8').matchAll(/(?:from|import) '(\.[^']+)'/g);
  return [...found].map(([, place = '']) => `${path.join(path.dirname(file), place)}.ts`);
}

/** The first import cycle that a file reaches, type imports included. */
function circleFrom(
  file: string,
  graph: ReadonlyMap<string, readonly string[]>,
  done: Set<string>,
  way: readonly string[] = [],
): readonly string[] {
  if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
  if (done.has(file)) return [];
  for (const next of graph.get(file) ?? []) {
    const circle = circleFrom(next, graph, done, [...way, file]);
    if (circle.length > 0) return circle;
  }
  done.add(file);
  return [];
}

describe('the folders of the shared code', () => {
  const folders = foldersBelow(common);

  it('at most three files lie beside folders', () => {
    const crowded = folders.filter((folder) => folder.folders.length > 0 && folder.files.length > 3);
    assert.deepEqual(
      crowded.map(({ name }) => name),
      [],
    );
  });

  it('no file has the name of a folder beside it', () => {
    const doubled = folders.flatMap(({ name, files, folders: rooms }) =>
      files.filter((file) => rooms.includes(file)).map((file) => `${name}/${file}`),
    );
    assert.deepEqual(doubled, []);
  });

  it('no imports form a cycle', () => {
    const files = folders.flatMap(({ name, files: own }) =>
      own.map((file) => path.join(repository, name, `${file}.ts`)),
    );
    const graph = new Map(files.map((file) => [file, importsOf(file)]));
    const done = new Set<string>();
    const circles = files.map((file) => circleFrom(file, graph, done)).filter((circle) => circle.length > 0);
    assert.deepEqual(
      circles.map((circle) => circle.map((file) => path.relative(common, file)).join(' -> ')),
      [],
    );
  });
});
