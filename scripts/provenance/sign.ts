import { bundleFromJSON } from '@sigstore/bundle';
import type { SerializedBundle } from '@sigstore/bundle';
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';
import { attest } from 'sigstore';
import type { SignOptions } from 'sigstore';
import { statementType, subjectProblems } from './statement';
import type { Statement } from './statement';

/** Signs with the identity of the run (its OIDC token), and notes it in the public log of Sigstore. */
export async function signStatement(statement: Statement, options: SignOptions = {}): Promise<SerializedBundle> {
  return attest(Buffer.from(JSON.stringify(statement)), statementType, options);
}

export interface Trust {
  /** The authorities and logs that are trusted. */
  root: TrustedRoot;
  /** Who has to have signed: the address of the definition of the release run. */
  signer: string;
  /** Who has to have vouched for the signer, as an address. */
  issuer: string;
}

/**
 * Verifies a signed statement without a network, and that it is about this package. Returns the statement. Throws a
 * sentence if the signature is not by the expected signer, or the statement is about another package.
 */
export function verifyStatement(bundle: unknown, vsix: Uint8Array, { root, signer, issuer }: Trust): Statement {
  const read = bundleFromJSON(bundle);
  if (read.content.$case !== 'dsseEnvelope') throw new Error('The signature is not about a statement.');
  const { payload, payloadType } = read.content.dsseEnvelope;
  if (payloadType !== statementType) throw new Error(`The signed content has the type ${payloadType}.`);
  const policy = { subjectAlternativeName: exactly(signer), extensions: { issuer } };
  new Verifier(toTrustMaterial(root)).verify(toSignedEntity(read), policy);
  const statement = JSON.parse(payload.toString('utf8')) as Statement;
  const problems = subjectProblems(statement, vsix);
  if (problems.length > 0) throw new Error(problems.join(' '));
  return statement;
}

/** The policy takes a regular expression. */
function exactly(text: string): string {
  return `^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
}
