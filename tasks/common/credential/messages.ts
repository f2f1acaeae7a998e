/** A variable of one run of Helm: the port of the task on 127.0.0.1, a dot, and the pass of this run. */
export const passVariable = 'HELM_SAFE_DEPLOY_CREDENTIAL';

/** The answer to a line with the pass, as JSON. */
export type CredentialAnswer =
  /** An ExecCredential (client.authentication.k8s.io/v1). */
  { credential: object } | { refusal: string };
