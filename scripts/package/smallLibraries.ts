import { createRequire } from 'node:module';
import path from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * Takes the ES modules of the package `yaml`, which its exports offer to browsers only. Of these esbuild leaves out
 * what no task uses; of CommonJS modules it cannot.
 */
export const smallYaml: Plugin = {
  name: 'small-yaml',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^yaml$/ }, ({ resolveDir }) => {
      const manifest = createRequire(path.join(resolveDir, 'any.js')).resolve('yaml/package.json');
      return { path: path.join(path.dirname(manifest), 'browser', 'index.js') };
    });
  },
};

/** Clients of msal-node for flows that no service connection has, and what only they use. */
const unusedClients = [
  'AuthorizationCodeClient',
  'DpopProofGenerator',
  'OnBehalfOfClient',
  'PopTokenGenerator',
  'RefreshTokenClient',
  'SilentFlowClient',
  'UserFederatedIdentityCredentialClient',
  'UsernamePasswordClient',
];

/** Classes of msal that are made in every case, and used only to keep tokens in a file. */
const hollowClasses = ['TokenCache'];

/** The signature of jsonwebtoken as msal asks for it, without what checks options that msal does not give. */
const signingOnly = `
import jws from 'jws';
const sign = (payload, secret, { header }) => {
  const iat = Math.floor(Date.now() / 1000);
  return jws.sign({ header: { typ: 'JWT', ...header }, payload: { ...payload, iat }, secret, encoding: 'utf8' });
};
export default { sign };
`;

/**
 * Leaves out what msal-node has beyond signing in as an application or a managed identity: clients of other flows, all of
 * jws but signing, and jsonwebtoken, which signs by jws. A client that is used all the same throws. The build fails when a
 * file that is to be left out is not found, as a new version of the library may have another one in its place.
 */
export const smallAzure: Plugin = {
  name: 'small-azure',
  setup: (bundle) => {
    const missing = new Set([...unusedClients, ...hollowClasses, 'jsonwebtoken', 'verify-stream']);
    const client = new RegExp(`[\\\\/]@azure[\\\\/].*[\\\\/](${unusedClients.join('|')})\\.mjs$`);
    bundle.onLoad({ filter: client }, ({ path: file }) => {
      const name = path.basename(file, '.mjs');
      missing.delete(name);
      const message = JSON.stringify(`${name} is not part of this bundle.`);
      return { contents: `export class ${name} { constructor() { throw new Error(${message}); } }` };
    });
    const hollow = new RegExp(`[\\\\/]@azure[\\\\/].*[\\\\/](${hollowClasses.join('|')})\\.mjs$`);
    bundle.onLoad({ filter: hollow }, ({ path: file }) => {
      const name = path.basename(file, '.mjs');
      missing.delete(name);
      return { contents: `export class ${name} {}` };
    });
    bundle.onLoad({ filter: /[\\/]jws[\\/]lib[\\/]verify-stream\.js$/ }, () => {
      missing.delete('verify-stream');
      return { contents: 'module.exports = {};' };
    });
    bundle.onResolve({ filter: /^jsonwebtoken$/ }, ({ resolveDir }) => ({
      path: 'jsonwebtoken',
      namespace: 'signing-only',
      pluginData: resolveDir,
    }));
    bundle.onLoad({ filter: /./, namespace: 'signing-only' }, ({ pluginData }) => {
      missing.delete('jsonwebtoken');
      return { contents: signingOnly, resolveDir: String(pluginData) };
    });
    bundle.onEnd(() => ({
      errors: [...missing].map((name) => ({ text: `Nothing named ${name} was left out of the library for Azure.` })),
    }));
  },
};
