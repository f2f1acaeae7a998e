import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generate } from 'selfsigned';

export interface HttpsSite {
  /** Without a slash at its end. */
  address: string;
  port: number;
  /** The file of the only authority that signs for this site. */
  authority: string;
  /** The requests so far, as method and path. */
  asked: string[];
  close(): void;
}

/** A site on this machine, at one of its addresses and under names that no DNS knows, with a certificate that no system trusts. */
export async function openHttpsSite(
  answer: (request: http.IncomingMessage, response: http.ServerResponse) => void,
  host = '127.0.0.1',
  names: readonly string[] = [],
): Promise<HttpsSite> {
  const folder = mkdtempSync(path.join(tmpdir(), 'https-site-'));
  // Two authorities of one name could not be trusted at the same time.
  const name = `${randomUUID()}.test`;
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [{ type: 7, ip: host }, ...names.map((value) => ({ type: 2, value }) as const)],
      },
    ],
  });
  const authority = path.join(folder, 'ca.pem');
  writeFileSync(authority, cert);
  const asked: string[] = [];
  const server = https.createServer({ cert, key }, (request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `https://${host}:${port}`,
    port,
    authority,
    asked,
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
