import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const tfx = createRequire(import.meta.url).resolve('tfx-cli');

/**
 * Makes a .vsix of the built tree `root` with tfx-cli. Needs no network. Throws if tfx fails, and also if it warns,
 * because it warns about things that the Marketplace refuses.
 */
export async function createExtension({ root, vsix }: { root: string; vsix: string }): Promise<void> {
  const args = ['extension', 'create', '--root', root, '--manifests', 'vss-extension.json', '--output-path', vsix];
  const child = spawn(process.execPath, [tfx, ...args, '--no-prompt', '--no-color'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1', NODE_OPTIONS: '' },
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [out, err, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const output = `${out}${err}`.trim();
  if (exitCode !== 0) throw new Error(`tfx extension create failed with exit code ${String(exitCode)}:\n${output}`);
  const warnings = output.split('\n').filter((line) => /warning/i.test(line));
  if (warnings.length > 0) throw new Error(`tfx extension create warns:\n${output}`);
}
