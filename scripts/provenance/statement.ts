import { createHash } from 'node:crypto';
import type { FlavourName } from '../package/flavour';

/** The type of the payload that is signed. */
export const statementType = 'application/vnd.in-toto+json';

export interface BuildFacts {
  vsix: Uint8Array;
  /** The file name of the package. */
  name: string;
  flavour: FlavourName;
  /** The address of the source, or undefined while it has no public one. */
  repository: string | undefined;
  tag: string;
  commit: string;
  /** The version of the Node that built it. */
  node: string;
  /** The address of the run that built it, and of its definition. Undefined on a machine of a developer. */
  run: string | undefined;
  builder: string | undefined;
}

export interface Statement {
  _type: string;
  subject: readonly { name: string; digest: { sha256: string } }[];
  predicateType: string;
  predicate: unknown;
}

/** An in-toto statement with the predicate SLSA provenance v1. */
export function provenanceStatement(facts: BuildFacts): Statement {
  const { vsix, name, flavour, repository, tag, commit, node, run, builder } = facts;
  const source = repository === undefined ? `urn:helm-safe-deploy:source:${tag}` : `git+${repository}@refs/tags/${tag}`;
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name, digest: { sha256: sha256(vsix) } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:helm-safe-deploy:npm-run-package:v1',
        externalParameters: { source, flavour },
        internalParameters: { node },
        resolvedDependencies: [{ uri: source, digest: { gitCommit: commit } }],
      },
      runDetails: {
        builder: { id: builder ?? 'urn:helm-safe-deploy:developer' },
        ...(run === undefined ? {} : { metadata: { invocationId: run } }),
      },
    },
  };
}

/** Why a statement is not about this package. Empty if it is. */
export function subjectProblems(statement: Statement, vsix: Uint8Array): string[] {
  const sum = sha256(vsix);
  if (statement.subject.some(({ digest }) => digest.sha256 === sum)) return [];
  const named = statement.subject.map(({ digest }) => digest.sha256).join(', ');
  return [`The package has the SHA-256 ${sum}, but its provenance is about ${named}.`];
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
