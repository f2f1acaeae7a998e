import type { ChartSource } from './deployRequest';
import { hasCredential } from './addressCredential';
import { credentialProblem, holdsSecret, secretProblem } from './commandLine';
import type { ChartLogins } from './chartLogins';
import type { InputContext, InputFiles, InputReader } from './inputs';
import { isAddress } from './valuesFile';

const chartExpected = 'a folder or .tgz on the agent, repository/chart, or an oci:// address';

export function readChartSource(read: InputReader, { files, secrets }: InputContext, logins: ChartLogins): ChartSource {
  const source = logins.repository === undefined ? chartSource(read, files) : chartInPrivateRepository(read);
  if (source.kind !== 'path') {
    const refuse = (input: string, text: string, instead: string): void => {
      const hides = holdsSecret(text, secrets) ? `${secretProblem}; ${instead}; ${noSecret}` : undefined;
      const problem = hasCredential(text) ? `${credentialProblem}; ${instead}` : hides;
      if (problem !== undefined) read.mistake({ input, problem });
    };
    refuse('chart', source.reference, withoutSecret[source.kind]);
    if (source.kind === 'repository') refuse('chartRepository', source.repository ?? '', withoutSecret.repository);
    return source;
  }
  const { reference } = source;
  return holdsSecret(read.text('chart'), secrets) ? { kind: 'path', reference, isSecret: true } : source;
}

const noSecret = 'if the text is not secret, do not keep it in a secret variable';

const withoutSecret = {
  oci: 'let an earlier step run `helm registry login` with it on stdin',
  url: 'let an earlier step download the archive, and give its path',
  repository: 'put the user and the password into a service connection, and name it in chartRepositoryConnection',
  privateRepository: 'the name of a chart is no secret',
};

function chartSource(read: InputReader, files: InputFiles): ChartSource {
  const chart = read.parsed('chart', chartExpected, (text) => text || undefined, '');
  const repository = readRepository(read);
  if (chart === '') return { kind: 'path', reference: '' };
  if (chart.startsWith('-')) {
    const problem = 'Helm would read it as a flag; write ./ before the name of a folder';
    read.mistake({ input: 'chart', holds: chart, problem });
    return { kind: 'path', reference: '' };
  }
  if (isOci(chart) || isAddress(chart)) return remoteChart(read, chart, repository);
  if (repository !== undefined) return chartInRepository(read, files, chart, repository);
  if (looksLikePath(chart) || isPattern(chart) || files.kind(chart) !== 'missing')
    return chartOnDisk(read, files, chart);
  return namedChart(read, chart);
}

function chartInPrivateRepository(read: InputReader): ChartSource {
  const chart = read.text('chart');
  const repository = read.optionalText('chartRepository');
  if (repository !== undefined) {
    const problem = 'the repository is that of chartRepositoryConnection; leave this empty';
    read.mistake({ input: 'chartRepository', holds: repository, problem });
  }
  if (!/^[A-Za-z0-9][\w.-]*$/.test(chart)) {
    const problem = 'expected the name of a chart in the repository of chartRepositoryConnection';
    read.mistake({ input: 'chart', holds: chart, problem });
  }
  return { kind: 'privateRepository', reference: chart };
}

function readRepository(read: InputReader): string | undefined {
  const repository = read.optionalText('chartRepository');
  if (repository === undefined) return undefined;
  if (isOci(repository)) {
    const problem = 'a registry is not a repository: leave this empty and write the whole oci:// address into chart';
    read.mistake({ input: 'chartRepository', holds: repository, problem });
  } else if (!isAddress(repository)) {
    const problem = 'expected the address of a chart repository, for example https://charts.example.org';
    read.mistake({ input: 'chartRepository', holds: repository, problem });
  }
  return repository;
}

function isOci(reference: string): boolean {
  return /^oci:\/\//i.test(reference);
}

function remoteChart(read: InputReader, chart: string, repository: string | undefined): ChartSource {
  if (repository !== undefined) {
    const problem = `chart is already a full address (${chart.slice(0, chart.indexOf(':'))}); leave this empty`;
    read.mistake({ input: 'chartRepository', holds: repository, problem });
  }
  if (!isOci(chart)) return { kind: 'url', reference: chart };
  // Helm accepts the scheme only in lower case.
  return { kind: 'oci', reference: chart.replace(/^oci/i, 'oci') };
}

function chartInRepository(read: InputReader, files: InputFiles, chart: string, repository: string): ChartSource {
  // Helm 3 takes the file in the working directory, Helm 4 the chart of the repository.
  if (looksLikePath(chart) || files.kind(chart) !== 'missing') {
    const problem =
      'this is a file or folder on the agent, and chartRepository is given as well; give one of them ' +
      '(./name always means the folder)';
    read.mistake({ input: 'chart', holds: chart, problem });
  }
  return { kind: 'repository', reference: chart, repository };
}

function looksLikePath(chart: string): boolean {
  return /^(?:[./\\~]|[a-z]:[\\/])|\.tgz$|\.tar\.gz$|\\/i.test(chart);
}

function chartOnDisk(read: InputReader, files: InputFiles, given: string): ChartSource {
  const found = isPattern(given) && files.kind(given) === 'missing' ? matching(files, given) : [given];
  const [first = given] = found;
  const chart = isChartFile(files, first) ? first.replace(/[/\\]?[^/\\]*$/, '') || '.' : first;
  const problem = found.length === 1 ? diskProblem(files, chart) : patternProblem(found);
  if (problem !== undefined) read.mistake({ input: 'chart', holds: given, problem });
  return { kind: 'path', reference: files.absolute(chart) };
}

function isChartFile(files: InputFiles, chart: string): boolean {
  return /(^|[/\\])Chart\.yaml$/.test(chart) && files.kind(chart) === 'file';
}

function isPattern(chart: string): boolean {
  return /[*?]/.test(chart);
}

/** Returns the paths that match, in alphabetical order. `*` and `?` stand for a part of one name. */
function matching(files: InputFiles, pattern: string): string[] {
  const [first = '', ...rest] = pattern.split(/[/\\]/);
  const start = isPattern(first) ? ['.'] : [first === '' ? '/' : first];
  const parts = isPattern(first) ? [first, ...rest] : rest;
  const found = parts.reduce((folders, part) => {
    if (!isPattern(part)) return folders.map((folder) => joined(folder, part));
    const expression = new RegExp(
      `^${part
        .replace(/[^\w*?]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.')}$`,
    );
    const isMeant = (name: string): boolean => expression.test(name) && (part.startsWith('.') || !name.startsWith('.'));
    return folders.flatMap((folder) =>
      files
        .names(folder)
        .filter(isMeant)
        .sort()
        .map((name) => joined(folder, name)),
    );
  }, start);
  return found.filter((path) => files.kind(path) !== 'missing');
}

function joined(folder: string, name: string): string {
  return folder === '.' ? name : `${folder.replace(/\/$/, '')}/${name}`;
}

const namedAtMost = 3;

function patternProblem(found: readonly string[]): string {
  if (found.length === 0) return 'nothing matches this pattern; relative paths start at System.DefaultWorkingDirectory';
  const named = found.slice(0, namedAtMost).join(', ');
  return `this pattern matches ${found.length} files or folders (${named}${found.length > namedAtMost ? ', ...' : ''}); expected one`;
}

function diskProblem(files: InputFiles, chart: string): string | undefined {
  switch (files.kind(chart)) {
    case 'file':
      return undefined;
    case 'missing':
      return 'there is no such chart; relative paths start at System.DefaultWorkingDirectory';
    case 'unreadable':
      return 'this chart cannot be read by the user that the agent runs as';
    case 'folder':
      return files.kind(`${files.absolute(chart)}/Chart.yaml`) === 'file'
        ? undefined
        : 'this folder is not a chart: it has no Chart.yaml';
  }
}

function namedChart(read: InputReader, chart: string): ChartSource {
  if (!/^[^/]+\/.+$/.test(chart)) {
    const problem = `there is no such folder or file, and no chartRepository to look in; expected ${chartExpected}`;
    read.mistake({ input: 'chart', holds: chart, problem });
  }
  return { kind: 'repository', reference: chart };
}
