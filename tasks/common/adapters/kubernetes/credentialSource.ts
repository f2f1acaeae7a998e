export interface Credentials {
  headers: Readonly<Record<string, string | string[]>>;
  certificate?: Buffer | string;
  key?: Buffer | string;
}

export interface CredentialSource {
  /** Returns the same object until the credentials change. Throws `CredentialsRejected` if there are none. */
  current(): Promise<Credentials>;
  /** Obtains new credentials after a 401. Returns false if they equal the rejected ones. */
  renew(rejected: Credentials): Promise<boolean>;
}

/** Sends no credentials. */
export const anonymous: CredentialSource = {
  current: () => Promise.resolve({ headers: {} }),
  renew: () => Promise.resolve(false),
};
