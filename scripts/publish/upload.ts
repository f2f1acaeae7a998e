import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { text } from 'node:stream/consumers';

const tfx = createRequire(import.meta.url).resolve('tfx-cli');

interface Upload {
  vsix: string;
  token: string;
  /** The Marketplace, unless another address is given. */
  serviceUrl?: string;
}

/** Publishes a package with tfx. Returns what tfx says, without the token. Throws the same if tfx fails. */
export async function upload({ vsix, token, serviceUrl }: Upload): Promise<string> {
  const service = serviceUrl === undefined ? [] : ['--service-url', serviceUrl];
  const args = ['extension', 'publish', '--vsix', vsix, '--no-wait-validation', ...service];
  const starter = path.join(import.meta.dirname, 'tfxWithToken.cjs');
  const child = spawn(process.execPath, [starter, tfx, ...args, '--no-prompt', '--no-color'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1', NODE_OPTIONS: '', TOKEN: token },
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [out, err, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const said = withoutToken(`${out}${err}`.trim(), token);
  if (exitCode !== 0) throw new Error(`tfx extension publish failed with exit code ${String(exitCode)}:\n${said}`);
  return said;
}

/** tfx may quote the header of a request, where the token is coded. */
function withoutToken(said: string, token: string): string {
  const coded = ['', 'OAuth', 'PersonalAccessToken'].map((user) => Buffer.from(`${user}:${token}`).toString('base64'));
  return [token, ...coded].reduce((text, secret) => text.replaceAll(secret, '***'), said);
}
