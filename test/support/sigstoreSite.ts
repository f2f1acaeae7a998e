import { createHash, generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from '@sigstore/mock';
import { HashAlgorithm, PublicKeyDetails } from '@sigstore/protobuf-specs';
import type { TransparencyLogInstance, TrustedRoot } from '@sigstore/protobuf-specs';

/** A certificate authority and a log of signatures on this machine, as Sigstore has them in public. */
export interface SigstoreSite {
  address: string;
  /** What somebody has to trust who verifies a signature of this site. */
  root: TrustedRoot;
  close(): void;
}

const logAddress = 'https://log.test';

export async function openSigstore(): Promise<SigstoreSite> {
  const keyPair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const ctLog = await initializeCTLog(keyPair);
  const authority = await initializeCA(keyPair, ctLog);
  const log = await initializeTLog(logAddress, keyPair);
  const handlers = [fulcioHandler(authority), rekorHandler(log)];
  const server = http.createServer((request, response) => {
    void text(request).then(async (body) => {
      const handler = handlers.find(({ path }) => path === request.url);
      const answer = await handler?.fn(asStored(body));
      response.writeHead(answer?.statusCode ?? 404, { 'content-type': answer?.contentType ?? 'text/plain' });
      response.end(answer?.response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    root: {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      certificateAuthorities: [
        {
          subject: { commonName: 'test', organization: 'test' },
          uri: 'https://fulcio.test',
          certChain: { certificates: [{ rawBytes: bytes(authority.rootCertificate) }] },
          validFor: { start: new Date(0) },
          operator: 'test',
        },
      ],
      tlogs: [trustedLog(log.publicKey, createHash('sha256').update(log.publicKey).digest())],
      ctlogs: [trustedLog(ctLog.publicKey, bytes(ctLog.logID))],
      timestampAuthorities: [],
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Proposal {
  kind?: string;
  spec?: { proposedContent?: { envelope: string; verifiers: readonly string[] } };
}

/** The public log keeps hashes and signatures of a proposed envelope. The stand-in would keep the proposal itself. */
function asStored(body: string): string {
  const entry = JSON.parse(body) as Proposal;
  const content = entry.spec?.proposedContent;
  if (entry.kind !== 'dsse' || content === undefined) return body;
  const envelope = JSON.parse(content.envelope) as { payload: string; signatures: readonly { sig: string }[] };
  const hash = (data: string | Buffer) => ({
    algorithm: 'sha256',
    value: createHash('sha256').update(data).digest('hex'),
  });
  const signatures = envelope.signatures.map(({ sig }) => ({ signature: sig, verifier: content.verifiers[0] }));
  const spec = {
    signatures,
    envelopeHash: hash(content.envelope),
    payloadHash: hash(Buffer.from(envelope.payload, 'base64')),
  };
  return JSON.stringify({ ...entry, spec });
}

function trustedLog(publicKey: Buffer, keyId: Buffer): TransparencyLogInstance {
  return {
    baseUrl: logAddress,
    logId: { keyId },
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: {
      rawBytes: publicKey,
      keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256,
      validFor: { start: new Date(0) },
    },
    checkpointKeyId: undefined,
    operator: 'test',
  };
}

function bytes(view: ArrayBufferView<ArrayBuffer>): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/** A token of a run, unsigned: the stand-in of the authority believes it. */
export function runToken(subject: string, issuer: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: subject, iss: issuer, aud: 'sigstore' })}.c2ln`;
}
