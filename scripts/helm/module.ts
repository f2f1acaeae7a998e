import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { helmReleases } from '../../tasks/common/core/helm/helmReleases';
import { succeed } from '../cluster/command';
import { goProgramFile } from '../cluster/goTool';
import { helmFromSource, helmPrograms, otherHelms, type Program } from '../cluster/pins';
import type { Log } from '../cluster/programs';
import { compareVersions } from './facts';

const repository = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const releasesFile = path.join(repository, 'tasks', 'common', 'core', 'helm', 'helmReleases.ts');

/** Returns a pinned Helm, or one from its module. In that case go.mod and go.sum are made here. */
export async function helmProgram(version: string, log: Log, signal: AbortSignal): Promise<Program> {
  const pinned = [...helmPrograms, ...Object.values(otherHelms)].find((program) => program.version === version);
  if (pinned !== undefined) return pinned;
  const folder = path.join(repository, 'scripts', 'cluster', 'go', `helm${version}`);
  if (!fs.existsSync(path.join(folder, 'go.sum'))) await writeModule(folder, version, log, signal);
  const client = /^\s*k8s\.io\/client-go v0\.(\d+)\./m.exec(fs.readFileSync(path.join(folder, 'go.mod'), 'utf8'));
  if (client?.[1] === undefined) throw new Error(`${folder}/go.mod names no k8s.io/client-go.`);
  return helmFromSource(version, client[1]);
}

async function writeModule(folder: string, version: string, log: Log, signal: AbortSignal): Promise<void> {
  const [major = ''] = version.split('.');
  const module = `helm.sh/helm/v${major}`;
  log(`Pinning ${module}@v${version} in ${folder} ...`);
  const go = await goProgramFile(log, signal);
  fs.mkdirSync(folder, { recursive: true });
  try {
    const head = `module helm-safe-deploy/cluster/helm${version}\n\ngo 1.25.0\n\nrequire ${module} v${version}\n`;
    fs.writeFileSync(path.join(folder, 'go.mod'), head);
    fs.writeFileSync(
      path.join(folder, 'tools.go'),
      `//go:build tools\n\n// Package tools names a Helm, so that go.mod and go.sum pin every byte of it.\npackage tools\n\nimport _ "${module}/cmd/helm"\n`,
    );
    const env = { ...process.env, GOFLAGS: '-mod=mod', GOWORK: 'off' };
    await succeed(go, ['mod', 'tidy'], { cwd: folder, env, signal });
  } catch (error) {
    fs.rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** The commit of a release's tag from the Go proxy. Returns undefined if the proxy does not name it. */
export async function commitOf(version: string, log: Log, signal: AbortSignal): Promise<string | undefined> {
  const [major = ''] = version.split('.');
  const go = await goProgramFile(log, signal);
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOWORK: 'off' };
  const answer = await succeed(go, ['list', '-m', '-json', `helm.sh/helm/v${major}@v${version}`], { env, signal });
  const { Origin } = JSON.parse(answer) as { Origin?: { Hash?: string; Ref?: string } };
  return Origin?.Ref === `refs/tags/v${version}` ? Origin.Hash : undefined;
}

/** The change that the commit of a version needs in the list of releases. */
export type ListChange = { readonly change: 'none' | 'add' } | { readonly change: 'impossible'; readonly why: string };

/**
 * Returns the change. A patch release is not added before its predecessors: they would no longer be newer than the
 * known releases, and so would not count as releases at all.
 */
export function listChange(
  version: string,
  commit: string | undefined,
  known: Readonly<Record<string, string>> = helmReleases,
): ListChange {
  const listed = known[`v${version}`];
  if (listed !== undefined) {
    if (commit === undefined || commit === listed) return { change: 'none' };
    return { change: 'impossible', why: `its tag is commit ${commit}, and the list of releases says ${listed}` };
  }
  if (commit === undefined) {
    const why =
      'the Go proxy does not name the commit of its tag: it stays a release that is newer than those that are known';
    return { change: 'impossible', why };
  }
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const before = Array.from({ length: patch }, (_, index) => `${major}.${minor}.${index}`);
  const missing = before.filter((each) => known[`v${each}`] === undefined);
  if (missing.length === 0) return { change: 'add' };
  return { change: 'impossible', why: `${missing.join(', ')} must be in the list of releases before it` };
}

/** Writes a release into core/helm/helmReleases.ts, in the order of versions. */
export function addRelease(version: string, commit: string, file = releasesFile): void {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const tags = lines.flatMap((line, index) => {
    const tag = /^ {2}'v(\d+\.\d+\.\d+)(?:-[^']*)?':/.exec(line)?.[1];
    return tag === undefined ? [] : [{ index, tag }];
  });
  const after = tags.findLast(({ tag }) => compareVersions(tag, version) < 0);
  if (after === undefined) throw new Error(`There is no place for ${version} in ${file}.`);
  lines.splice(after.index + 1, 0, `  'v${version}': '${commit}',`);
  fs.writeFileSync(file, lines.join('\n'));
}
