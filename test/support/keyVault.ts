import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from 'node:crypto';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { openHttpsSite, type HttpsSite } from './httpsSite';
import { sops } from './sops';

export interface KeyVault extends HttpsSite {
  /** `HOST:PORT` of the real service, which this one plays behind a proxy. */
  target: string;
  /** The address of its only key. */
  key: string;
  /** The claims of the tokens that it has seen. */
  tokens: Record<string, unknown>[];
  /** False: the role on the key is missing. */
  isAllowed: boolean;
}

/** A stand-in for Azure Key Vault with one RSA key, which asks for a token as the real one does. */
export async function openKeyVault(host: string, tenant: string): Promise<KeyVault> {
  const name = 'shop.vault.azure.net';
  const key = `https://${name}/keys/sops/1`;
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) {
      const challenge = `Bearer authorization="https://login.microsoftonline.com/${tenant}", resource="https://vault.azure.net"`;
      response.writeHead(401, { 'WWW-Authenticate': challenge }).end();
      return;
    }
    const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    vault.tokens.push(JSON.parse(claims) as Record<string, unknown>);
    response.setHeader('Content-Type', 'application/json');
    if (!vault.isAllowed) {
      const error = { code: 'Forbidden', message: 'Caller is not authorized to perform action.' };
      response.writeHead(403).end(JSON.stringify({ error }));
      return;
    }
    const { value = '' } = (await json(request)) as { value?: string };
    const bytes = Buffer.from(value, 'base64url');
    const result = request.url?.includes('/decrypt')
      ? privateDecrypt({ key: pair.privateKey, ...padding }, bytes)
      : publicEncrypt({ key: pair.publicKey, ...padding }, bytes);
    response.end(JSON.stringify({ kid: key, value: result.toString('base64url') }));
  };
  const site = await openHttpsSite((request, response) => void answer(request, response), host, [name]);
  const vault: KeyVault = { ...site, target: `${name}:443`, key, tokens: [], isAllowed: true };
  return vault;
}

/** Writes a file of values and encrypts it with the key of the vault. Returns its path. */
export async function vaultEncryptedFile(
  file: string,
  text: string,
  { vault, proxy, token }: { vault: KeyVault; proxy: string; token: string },
): Promise<string> {
  writeFileSync(file, text);
  const identity = http.createServer((_, response) => {
    const expires = String(Math.floor(Date.now() / 1000) + 3600);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ access_token: token, expires_on: expires, token_type: 'Bearer' }));
  });
  identity.listen(0, '127.0.0.1');
  await once(identity, 'listening');
  const env = {
    IDENTITY_ENDPOINT: `http://127.0.0.1:${(identity.address() as AddressInfo).port}`,
    IDENTITY_HEADER: 'any',
    AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
    HTTPS_PROXY: proxy,
    SSL_CERT_FILE: vault.authority,
    HOME: path.dirname(file),
  };
  await promisify(execFile)(await sops(), ['--encrypt', '--in-place', '--azure-kv', vault.key, file], { env });
  identity.close();
  vault.tokens.length = 0;
  return file;
}
