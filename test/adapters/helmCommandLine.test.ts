import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createHelm, type HelmOptions } from '../../tasks/common/adapters/helm/helm';
import { privateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import type { DeployRequest } from '../../tasks/common/core/inputs/deployRequest';
import { secretFinder } from '../../tasks/common/core/text/secrets';
import { plainRequest } from '../support/fakes/scene';

/** A Helm that writes down its arguments, one per line, and lists the flags of `help`. */
const script = `#!/bin/sh
case "$*" in
  *--help*) cat "$(dirname "$0")/help"; exit 0 ;;
esac
printf '%s\\n' "$@" > "$(dirname "$0")/arguments"
echo '{"chart":{"metadata":{"name":"c","version":"1"}},"config":{},"manifest":"","hooks":[]}'
`;

const help = `Flags:
      --ca-file string   verify certificates
      --skip-crds        if set, no CRDs
`;

describe('the command line of Helm', () => {
  let folder = '';
  const signal = new AbortController().signal;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'helm-line-')));
    mkdirSync(path.join(folder, 'work'));
    writeFileSync(path.join(folder, 'helm'), script);
    chmodSync(path.join(folder, 'helm'), 0o755);
    writeFileSync(path.join(folder, 'help'), help);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** The arguments of Helm when the chart was rendered. */
  async function rendered(change: Partial<DeployRequest>, ...secrets: string[]): Promise<string[]> {
    const { prepared } = helmFor(change, secrets);
    const { failure } = await prepared.render(signal);
    assert.equal(failure, undefined);
    return readFileSync(path.join(folder, 'arguments'), 'utf8').trimEnd().split('\n');
  }

  function helmFor(change: Partial<DeployRequest>, secrets: readonly string[]) {
    const options: Partial<HelmOptions> = {
      binary: path.join(folder, 'helm'),
      kubeconfig: path.join(folder, 'kubeconfig'),
      namespace: 'shop',
      releaseName: 'shop',
      guard: { environment: () => ({}), watch: () => undefined, done: () => undefined },
      workingDirectory: path.join(folder, 'work'),
      environment: process.env,
      isDebug: false,
      onLine: () => undefined,
      redact: (text: string) => text,
      folder: privateFolder(folder, () => undefined),
      secrets: secretFinder(secrets),
      request: { ...plainRequest, valueFiles: [], ...change },
    };
    return { prepared: createHelm(options as HelmOptions) };
  }

  it('a path that contains a secret is given as a private link', async () => {
    const chart = path.join(folder, 'work', 'hunter22');
    const values = path.join(folder, 'work', 'hunter22.yaml');
    mkdirSync(chart);
    writeFileSync(values, 'a: 1');
    const words = await rendered(
      {
        chart: { kind: 'path', reference: chart, isSecret: true },
        valueFiles: [{ kind: 'path', reference: values, input: 'valueFiles, line 1' }],
      },
      'hunter22',
    );
    assert.doesNotMatch(words.join(' '), /hunter22/);
    assert.equal(realpathSync(words[2] ?? ''), chart);
    assert.equal(realpathSync(words[words.indexOf('--values') + 1] ?? ''), values);
  });

  it('Helm is not started when an argument from an input still contains a secret', async () => {
    const { prepared } = helmFor({ chartVersion: '1.0.0-hunter22' }, ['hunter22']);
    await assert.rejects(prepared.render(signal), /^TaskError: Input chartVersion: it holds a secret/);
    await assert.rejects(
      prepared.upgrade({ timeoutSeconds: 5, wait: false, createNamespace: false, kept: [], lost: signal }, signal),
      /chartVersion/,
    );
    assert.ok(!existsSync(path.join(folder, 'arguments')));
  });

  for (const [text, expected] of [
    ['--v=9', /--v/],
    ['--unknown ./other-chart', /--unknown.*not list[^]*other-chart/],
    ['--skip-crds ./other-chart', /other-chart/],
  ] as const) {
    it(`Helm is not started with a flag that it does not list: ${text}`, async () => {
      const { prepared } = helmFor({ extraArguments: text.split(' ') }, []);
      await assert.rejects(prepared.render(signal), expected);
      assert.ok(!existsSync(path.join(folder, 'arguments')));
    });
  }

  it('a flag that Helm lists is passed on with its value', async () => {
    const words = await rendered({ extraArguments: ['--ca-file', 'ca.pem', '--skip-crds'] });
    assert.deepEqual(words.slice(words.indexOf('--ca-file')).slice(0, 3), ['--ca-file', 'ca.pem', '--skip-crds']);
  });
});
