import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const hourMs = 3_600_000;

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  ipAddress: 0x87,
} as const;

const oids = {
  ecdsaWithSha256: '06082a8648ce3d040302',
  commonName: '0603550403',
  subjectAltName: '0603551d11',
  basicConstraints: '0603551d13',
} as const;

/**
 * Both as PEM, self-signed for 127.0.0.1, because client-go sends a token over TLS only. A library for certificates
 * would double the size of the bundle (RFC 5280).
 */
export function loopbackCertificate(now: Date): { certificate: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid('ecdsaWithSha256'));
  const name = sequence(
    der(tags.set, sequence(oid('commonName'), der(tags.utf8String, Buffer.from('helm-safe-deploy')))),
  );
  const isAuthority = sequence(der(tags.boolean, Buffer.from([0xff])));
  const extensions = sequence(
    sequence(oid('basicConstraints'), der(tags.octetString, isAuthority)),
    sequence(oid('subjectAltName'), der(tags.octetString, sequence(der(tags.ipAddress, Buffer.from([127, 0, 0, 1]))))),
  );
  const toBeSigned = sequence(
    der(tags.version, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    name,
    sequence(utcTime(now.getTime() - hourMs), utcTime(now.getTime() + 30 * 24 * hourMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(tags.extensions, extensions),
  );
  const signature = der(tags.bitString, Buffer.from([0]), sign('sha256', toBeSigned, privateKey));
  const certificate = sequence(toBeSigned, algorithm, signature).toString('base64');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${certificate.replace(/.{64}/g, '$&\n').trim()}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(tags.sequence, ...parts);
}

function oid(name: keyof typeof oids): Buffer {
  return Buffer.from(oids[name], 'hex');
}

/** `YYMMDDhhmmssZ` */
function utcTime(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(tags.utcTime, Buffer.from(`${digits}Z`));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content]);
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}
