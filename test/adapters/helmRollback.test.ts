import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createReleaseHelm } from '../../tasks/common/adapters/helm/helm';
import type { RollbackOptions } from '../../tasks/common/core/ports';

const flags = 'install dry-run disable-openapi-validation wait timeout history-max values set-file output';

describe('the arguments of helm rollback', function () {
  let folder: string;

  before(function () {
    if (process.platform === 'win32') this.skip();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'helm-rollback-'));
  });

  after(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** The arguments of a Helm of this version, one line per argument. */
  async function calledWith(version: string, more: Partial<RollbackOptions> = {}): Promise<string[]> {
    const binary = path.join(folder, `helm-${version}`);
    const seen = path.join(folder, `seen-${version}`);
    const help = flags.split(' ').map((flag) => `      --${flag} text`);
    const lines = [
      '#!/bin/sh',
      'case "$1" in',
      `version) echo '${version} 0123456789abcdef0123456789abcdef01234567 clean go1.26' ;;`,
      `upgrade) cat <<'END'\n${help.join('\n')}\nEND\n;;`,
      `*) for each; do printf '%s\\n' "$each"; done >'${seen}' ;;`,
      'esac',
    ];
    fs.writeFileSync(binary, `${lines.join('\n')}\n`, { mode: 0o755 });
    const helm = createReleaseHelm({
      binary,
      kubeconfig: '/nowhere',
      namespace: 'shop',
      releaseName: 'web',
      guard: { environment: () => ({}), watch: () => undefined, done: () => undefined },
      workingDirectory: folder,
      environment: { PATH: process.env['PATH'] },
      isDebug: false,
      onLine: () => undefined,
      redact: (text: string) => text,
    });
    const result = await helm.rollback({ revision: 3, timeoutSeconds: 60, endAfterSeconds: 120, wait: false, ...more });
    assert.ok(result.ok, result.failure?.message);
    return fs.readFileSync(seen, 'utf8').trimEnd().split('\n');
  }

  const described = (args: readonly string[]): string | undefined =>
    args.includes('--description') ? args[args.indexOf('--description') + 1] : undefined;

  for (const version of ['v3.14.0', 'v3.22.0', 'v4.1.4', 'v4.2.4']) {
    it(`Helm ${version} does not know --description and does not get it`, async () => {
      assert.equal(described(await calledWith(version, { description: 'Rollback to 3. Approved.' })), undefined);
    });
  }

  for (const version of ['v4.3.0', 'v4.3.2', 'v4.10.0', 'v5.0.0']) {
    it(`Helm ${version} gets the description`, async () => {
      assert.equal(
        described(await calledWith(version, { description: 'Rollback to 3. Approved.' })),
        'Rollback to 3. Approved.',
      );
      assert.equal(described(await calledWith(version)), undefined);
    });
  }

  for (const [version, expected] of [
    ['v3.22.0', ['--wait']],
    ['v4.1.4', ['--wait=legacy', '--force-conflicts']],
    ['v4.3.2', ['--wait=legacy', '--force-conflicts']],
  ] as const) {
    it(`Helm ${version} gets its own flags for wait and force, even if nothing asked for its version before`, async () => {
      const args = await calledWith(version, { wait: true, forceConflicts: true });
      assert.deepEqual(
        args.filter((arg) => /^--(wait|force)/.test(arg)),
        expected,
      );
    });
  }

  it('a description that is too long for Helm is cut, and no character is split', async () => {
    const text = described(await calledWith('v4.3.2', { description: `Rollback to 3. ${'😀'.repeat(300)}` })) ?? '';
    assert.ok(text.length <= 256 && text.length > 250, String(text.length));
    assert.match(text, /^Rollback to 3\. (😀)+ \.\.\.$/u);
  });
});
