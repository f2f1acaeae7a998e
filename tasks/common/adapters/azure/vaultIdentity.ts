import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { vaultResource, withoutAzureIdentity } from '../../core/azure/keyVault';
import { asTaskError, type TaskError } from '../../core/failure';
import { azureSignIn, type AzureHost, type AzureOptions } from './connection';
import type { SignIn } from './signIn';

/** Lets another program use keys in Azure Key Vault with the identity of a connection. */
export interface VaultIdentity {
  /** The environment for that program, which then finds this identity and no other one. */
  environment(inherited: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
  /** Why the last sign-in failed. */
  failure(): TaskError | undefined;
  close(): void;
}

/**
 * Plays the managed identity of an App Service (IDENTITY_ENDPOINT) on 127.0.0.1, which the libraries of Azure ask for a
 * token. So the program gets tokens for key vaults, and nothing from which it could make others. Throws
 * `ConnectionMissing` or `ConnectionInvalid`.
 */
export async function openVaultIdentity(host: AzureHost, id: string, options: AzureOptions): Promise<VaultIdentity> {
  const { connection, requests, signIn: begin } = azureSignIn(host, id, options);
  const pass = randomBytes(32).toString('hex');
  host.mask(pass);
  let signIn: Promise<SignIn> | undefined;
  let failure: TaskError | undefined;
  const token = async (resource: string): Promise<object> => {
    signIn ??= begin();
    const given = await (await signIn)(`${resource}/.default`, 'the key vault')();
    const expires = String(Math.floor(given.expiresAt / 1000));
    return { access_token: given.token, expires_on: expires, resource, token_type: 'Bearer' };
  };
  const server = http.createServer((request, response) => {
    // Any process on this machine may send anything, which `new URL` might refuse.
    const [asked = '', query] = (request.url ?? '').split('?');
    const resource = vaultResource(new URLSearchParams(query).get('resource') ?? '', connection.vaultResource);
    if (!isEqual(String(request.headers['x-identity-header']), pass) || asked !== tokenPath) {
      response.writeHead(404).end();
    } else if (resource === undefined) {
      send(response, 400, { message: 'This identity has tokens for key vaults only.' });
    } else {
      token(resource).then(
        (answer) => {
          send(response, 200, answer);
        },
        (error: unknown) => {
          failure = asTaskError(error);
          // The library of the program would try again after a 5xx, as this task has done already.
          send(response, 400, { message: failure.message });
        },
      );
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    environment: (inherited) => ({
      ...withoutAzureIdentity(inherited),
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
      IDENTITY_ENDPOINT: `http://127.0.0.1:${port}${tokenPath}`,
      IDENTITY_HEADER: pass,
    }),
    failure: () => failure,
    close: () => {
      server.close();
      server.closeAllConnections();
      requests.close();
    },
  };
}

const tokenPath = '/token';

function isEqual(given: string, expected: string): boolean {
  const bytes = Buffer.from(given);
  return bytes.length === expected.length && timingSafeEqual(bytes, Buffer.from(expected));
}

function send(response: http.ServerResponse, status: number, answer: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
}
