const credentialParameter =
  /[?&;](?:[\w.-]*[-_])?(?:sig|signature|token|password|passwd|pwd|secret|api_?key|access_?key|auth|credential)=[^&;#]/i;

/** Returns true if an address contains a credential, known to the job or not. */
export function hasCredential(address: string): boolean {
  return /^[^:/]+:\/\/[^/?#:]*:[^/?#]*@/.test(address) || credentialParameter.test(address);
}
