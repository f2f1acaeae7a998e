import type { CauseCode, Grace } from './causes';

/** Waiting reasons of the kubelet about images. */
export const imageReasons: ReadonlySet<string> = new Set([
  'InvalidImageName',
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]);

export interface ImageTrouble {
  code: CauseCode;
  detail?: string;
  isCertain: boolean;
  grace?: Grace;
}

// Nobody answered, or the answer says that the registry is in trouble. Asked first: a message about a token server that
// cannot be reached also has words of the other kinds.
const unreachable =
  /dial (tcp|udp)|no such host|connection (refused|reset)|i\/o timeout|timed? ?out|deadline exceeded|TLS handshake|x509|tls:|network is unreachable|no route to host|server misbehaving|server gave HTTP response|unexpected EOF|: EOF|\b50[0-4]\b|bad gateway|service unavailable|internal server error|pull QPS exceeded|proxyconnect/i;
const rateLimited = /\b429\b|too ?many ?requests|rate limit/i;
const denied =
  /\b40[13]\b|unauthorized|authentication required|authorization failed|access denied|access to the (requested )?resource is denied|no basic auth credentials|insufficient_scope|forbidden|\bdenied\b/i;
const notFound = /not found|manifest unknown|name unknown|\b404\b|NotFound|does not exist|repository name not known/i;

/**
 * What a kubelet's words about an image mean. `texts` are the waiting message and the newest «Failed to pull» event: kubelets
 * before 1.32 tell the cause in the event only.
 */
export function imageTrouble(reason: string, image: string, texts: readonly string[]): ImageTrouble {
  if (reason === 'InvalidImageName') return { code: 'ImageInvalidName', isCertain: true };
  // Somebody may still load it onto the node.
  if (reason === 'ErrImageNeverPull')
    return { code: 'ImageNotFound', detail: 'neverPulled', isCertain: false, grace: 30 };
  const words = texts.map((text) => withoutNames(text, image)).join('\n');
  if (unreachable.test(words)) return { code: 'ImageRegistryUnreachable', isCertain: false };
  if (rateLimited.test(words)) return { code: 'ImagePullDenied', detail: 'rateLimited', isCertain: false };
  if (denied.test(words)) return { code: 'ImagePullDenied', isCertain: false };
  if (/no match for platform/.test(words)) return { code: 'ImageNotFound', detail: 'platform', isCertain: true };
  if (notFound.test(words)) return { code: 'ImageNotFound', isCertain: true };
  return { code: 'ImageRegistryUnreachable', isCertain: false };
}

/** Image names and URLs are chosen by people and may hold any of the words that are looked for. */
function withoutNames(text: string, image: string): string {
  const unquoted = text.replaceAll(/"[^"]*"/g, ' ').replaceAll(/https?:\/\/\S+/g, ' ');
  return image === '' ? unquoted : unquoted.replaceAll(image, ' ');
}
