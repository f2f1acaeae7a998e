import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { generate } from 'selfsigned';

export interface DenyingWebhook {
  /** The address for `clientConfig` of a webhook. */
  readonly url: string;
  readonly caBundle: string;
  close(): Promise<void>;
}

/** An admission webhook that denies every request. With `silent` it accepts the request and never answers. */
export async function denyingWebhook(message: string, silent = false): Promise<DenyingWebhook> {
  const pair = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const server = https.createServer({ key: pair.private, cert: pair.cert }, (request, response) => {
    void text(request).then((body) => {
      if (silent) return;
      const { uid } = (JSON.parse(body) as { request: { uid: string } }).request;
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          response: { uid, allowed: false, status: { message, code: 403 } },
        }),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caBundle: Buffer.from(pair.cert).toString('base64'),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
