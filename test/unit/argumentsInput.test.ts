import assert from 'node:assert/strict';
import { checkArguments, readArguments, splitArguments } from '../../tasks/common/core/inputs/argumentsInput';
import { parseHelpFlags } from '../../tasks/common/core/helm/helmFlags';
import { secretFinder } from '../../tasks/common/core/text/secrets';

function words(text: string): unknown {
  const split = splitArguments(text);
  return 'words' in split ? split.words : split.problem;
}

function refused(text: string, ...secrets: string[]): string[] {
  return readArguments(text, secretFinder(secrets)).mistakes.map(({ holds, problem }) => `${holds ?? ''}: ${problem}`);
}

describe('the input arguments', () => {
  for (const [text, expected] of [
    ['', []],
    ['  --skip-crds   --devel ', ['--skip-crds', '--devel']],
    ['--post-renderer-args "a b" --keyring \'c "d" \\\'', ['--post-renderer-args', 'a b', '--keyring', 'c "d" \\']],
    ['--x="a \\" b"\'c\'d', ['--x=a " bcd']],
    ['--x=a\\ b', ['--x=a b']],
    ['--ca-file C:\\certs\\ca.pem', ['--ca-file', 'C:\\certs\\ca.pem']],
    ["--x ''", ['--x', '']],
    ['--a\n--b \\\n  --c\r\n--d', ['--a', '--b', '--c', '--d']],
    ['--x=$HOME;rm -rf / && `id` | * > f', ['--x=$HOME;rm', '-rf', '/', '&&', '`id`', '|', '*', '>', 'f']],
    ['"😀 é"', ['😀 é']],
  ] as const) {
    it(`splits ${JSON.stringify(text)}`, () => {
      assert.deepEqual(words(text), expected);
    });
  }

  for (const text of ['"a', "'a", '--x="a\'']) {
    it(`an open quote is a mistake: ${text}`, () => {
      assert.match(String(words(text)), /opened and not closed/);
    });
  }

  for (const [text, instead] of [
    ['--wait', 'timeout'],
    ['--wait=watcher', 'timeout'],
    ['--wait-for-jobs', 'jobs'],
    ['--atomic', 'onFailure'],
    ['--rollback-on-failure', 'onFailure'],
    ['--cleanup-on-fail', 'cleanupOnFail'],
    ['--timeout 10m', 'timeout'],
    ['--timeout=10m', 'timeout'],
    ['--namespace x', 'namespace'],
    ['-n x', 'namespace'],
    ['-nx', 'namespace'],
    ['--kubeconfig f', 'kubernetesServiceConnection'],
    ['--kube-context c', 'kubernetesServiceConnection'],
    ['--kube-insecure-skip-tls-verify', 'kubernetesServiceConnection'],
    ['--kube-new-flag-of-a-later-helm', 'kubernetesServiceConnection'],
    ['--install', 'installs'],
    ['-i', 'installs'],
    ['--dry-run=server', 'always'],
    ['--output json', 'report'],
    ['-ojson', 'report'],
    ['--debug', 'system.debug'],
    ['--values f', 'valueFiles'],
    ['-f f', 'valueFiles'],
    ['--set a=b', 'use set'],
    ['--set-string a=b', 'setString'],
    ['--set-file a=b', 'setFile'],
    ['--set-json a=1', 'valueFiles'],
    ['--set-literal a=1', 'setLiteral'],
    ['--set-new a=1', 'valueFiles'],
    ['--history-max 3', 'historyMax'],
    ['--description x', 'writes'],
    ['--labels a=b', 'writes'],
    ['-l a=b', 'writes'],
    ['--no-hooks', 'hooks'],
    ['--create-namespace', 'createNamespace'],
    ['--version 1', 'chartVersion'],
    ['--repo https://x', 'chartRepository'],
    ['--dependency-update', 'dependencyUpdate'],
    ['--v=9', 'system.debug'],
    ['--v 9', 'system.debug'],
    ['-v9', 'system.debug'],
    ['-v=9', 'system.debug'],
    ['--vmodule=x=9', 'system.debug'],
    ['--log-file /w/x', 'system.debug'],
    ['--log_dir=/w', 'system.debug'],
    ['--logtostderr=false', 'system.debug'],
    ['--alsologtostderr', 'system.debug'],
    ['--stderrthreshold=0', 'system.debug'],
  ] as const) {
    it(`${text} is refused by its name, and the message names what to use instead`, () => {
      const mistakes = refused(text);
      assert.equal(mistakes.length, 1, mistakes.join('\n'));
      assert.ok(mistakes[0]?.startsWith(text.split(/[ =]/)[0]?.slice(0, 2) ?? ''));
      assert.ok(mistakes.join().includes(instead), mistakes.join());
    });
  }

  it('grouped shorthands are refused one by one', () => {
    assert.equal(refused('-in default').length, 2);
    assert.match(refused('-in default').join('\n'), /-i:[^]*-n:/);
    assert.match(refused('-x').join('\n'), /-x: Helm has no such flag/);
  });

  for (const text of [
    '--skip-crds --force --force-replace --reset-values --reuse-values --reset-then-reuse-values --take-ownership',
    '--post-renderer ./r.sh --post-renderer-args a --post-renderer-args=-b --post-renderer-args --c',
    '--ca-file ca.pem --username me --pass-credentials --insecure-skip-tls-verify --plain-http',
    '--server-side true --force-conflicts --hide-notes --render-subchart-notes --enable-dns',
    '--verify --keyring k --devel --disable-openapi-validation --skip-schema-validation',
    '--registry-config r --repository-config=c --qps 50 --burst-limit 100',
    '--flag-of-a-later-helm value --other',
  ]) {
    it(`a flag for the user to choose: ${text}`, () => {
      const { words: given, mistakes } = readArguments(text, secretFinder([]));
      assert.deepEqual(mistakes, []);
      assert.deepEqual(given, text.split(' '));
    });
  }

  for (const text of ['other-release', './chart', '--skip-crds x', '-- x', '-', "''", '--a=b c']) {
    it(`a word that is not a flag is refused: ${text}`, () => {
      assert.match(refused(text).join('\n'), /it is not a flag.*releaseName/);
    });
  }

  for (const text of [
    '--password hunter22',
    '--password=hunter22',
    '--username "a b hunter22"',
    '--new aHVudGVyMjI=',
  ]) {
    it(`a secret of the job is refused and not shown: ${text}`, () => {
      const mistakes = refused(text, 'hunter22');
      assert.match(mistakes.join('\n'), /helm registry login/);
      assert.doesNotMatch(mistakes.join('\n'), /hunter22|aHVudGVyMjI/);
    });
  }

  it('a secret with blanks that is split into words is refused too', () => {
    assert.match(refused('--password correct horse', 'correct horse').join('\n'), /^a flag: .*secret/);
    assert.doesNotMatch(refused('--password correct horse', 'correct horse').join('\n'), /horse/);
    assert.match(refused('--unknown correct --x=horse', 'correct --x=horse').join('\n'), /secret/);
  });

  it('all mistakes are reported at once', () => {
    assert.equal(refused('--wait --timeout 5m --atomic -n x y').length, 5);
  });
});

const help = `
Flags:
      --ca-file string                             verify certificates (default "x")
      --dry-run string[="unset"]                   simulates --foo
      --force-replace                              force resource updates by replacement
  -i, --install                                    if a release
      --post-renderer postRendererString           the name
      --post-renderer-args postRendererArgsSlice   an argument (default [])
      --skip-crds                                  if set, no CRDs --later word
      --wait WaitStrategy[=watcher]                wait until resources are ready

Global Flags:
      --color string                    use colored output
      --qps float32                     queries per second
`;

describe('the input arguments, checked against the help of the Helm in use', () => {
  const flags = parseHelpFlags(help);
  const checked = (text: string): string[] => {
    const split = splitArguments(text);
    assert.ok('words' in split);
    return checkArguments(split.words, flags, secretFinder([])).map(
      ({ holds, problem }) => `${holds ?? ''}: ${problem}`,
    );
  };

  it('the help shows which flags exist and which take a value', () => {
    assert.deepEqual(Object.fromEntries(flags), {
      'ca-file': 'required',
      'dry-run': 'optional',
      'force-replace': 'none',
      install: 'none',
      'post-renderer': 'required',
      'post-renderer-args': 'required',
      'skip-crds': 'none',
      wait: 'optional',
      color: 'required',
      qps: 'required',
    });
  });

  for (const text of [
    '',
    '--skip-crds --ca-file ca.pem --qps=50',
    '--post-renderer-args --later --post-renderer-args=-b',
    '--skip-crds=false --force-replace',
    // This flag is hidden by a Helm that has its new name.
    '--force',
  ]) {
    it(`goes to Helm: ${text}`, () => {
      assert.deepEqual(checked(text), []);
    });
  }

  for (const [text, expected] of [
    ['--later', /^--later: this Helm does not list it/],
    ['--foo /w/other-chart', /^--foo: .*not list[^]*other-chart: it is not a flag/],
    ['--skip-crds /w/other-chart', /^\/w\/other-chart: it is not a flag/],
    ['--color --install', /^$/],
    ['--skip-crds --install', /^--install: the task owns/],
    ['--ca-file', /^--ca-file: it has no value/],
    ['--new=9', /^--new: /],
  ] as const) {
    it(`judged by the flags of this Helm: ${text}`, () => {
      assert.match(checked(text).join('\n'), expected);
    });
  }
});
