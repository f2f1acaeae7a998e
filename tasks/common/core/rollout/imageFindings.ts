import type { CauseCode, Grace } from './causes';

export const imageReasons: ReadonlySet<string> = new Set([
  'InvalidImageName',
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]);

interface ImageTrouble {
  code: CauseCode;
  detail?: string;
  isCertain: boolean;
  grace?: Grace;
}

// Tested first, because a message about an unreachable token server holds words of the other patterns.
const unreachable =
  /dial (tcp|udp)|no such host|connection (refused|reset)|i\/o timeout|timed? ?out|deadline exceeded|TLS handshake|x509|tls:|network is unreachable|no route to host|server misbehaving|server gave HTTP response|unexpected EOF|: EOF|\b50[0-4]\b|bad gateway|service unavailable|internal server error|pull QPS exceeded|proxyconnect/i;
const rateLimited = /\b429\b|too ?many ?requests|rate limit/i;
const denied =
  /\b40[13]\b|unauthorized|authentication required|authorization failed|access denied|access to the (requested )?resource is denied|no basic auth credentials|insufficient_scope|forbidden|\bdenied\b/i;
const notFound = /not found|manifest unknown|name unknown|\b404\b|NotFound|does not exist|repository name not known/i;

/** Their nearest copy may answer 404 for some seconds after a push, in bad cases for minutes. */
const replicating =
  /^[\w.-]+\.(azurecr\.(io|cn|us)|dkr\.ecr\.[\w-]+\.amazonaws\.com(\.cn)?|aliyuncs\.com|jfrog\.io)\/|^quay\.io\//;

/** Kubelets before 1.32 give the cause only in the event, so `texts` has both messages. */
export function imageTrouble(reason: string, image: string, texts: readonly string[]): ImageTrouble {
  if (reason === 'InvalidImageName') return { code: 'ImageInvalidName', isCertain: true };
  // A person or a program may still load the image onto the node.
  if (reason === 'ErrImageNeverPull')
    return { code: 'ImageNotFound', detail: 'neverPulled', isCertain: false, grace: 30 };
  if (reason === 'SignatureValidationFailed') return { code: 'ImagePullDenied', detail: 'signature', isCertain: false };
  const words = texts.map((text) => withoutNames(text, image)).join('\n');
  if (/no space left on device/.test(words)) {
    return { code: 'ImageRegistryUnreachable', detail: 'nodeDisk', isCertain: false };
  }
  if (/is no longer supported|unsupported media ?type/i.test(words)) {
    return { code: 'ImageNotFound', detail: 'format', isCertain: true };
  }
  if (unreachable.test(words)) return { code: 'ImageRegistryUnreachable', isCertain: false };
  if (rateLimited.test(words)) return { code: 'ImagePullDenied', detail: 'rateLimited', isCertain: false };
  if (denied.test(words)) return { code: 'ImagePullDenied', isCertain: false };
  if (/no match for platform/.test(words)) return { code: 'ImageNotFound', detail: 'platform', isCertain: true };
  if (notFound.test(words) && replicating.test(image)) {
    return { code: 'ImageNotFound', detail: 'replicating', isCertain: false, grace: 60 };
  }
  if (notFound.test(words)) return { code: 'ImageNotFound', isCertain: true };
  return { code: 'ImageRegistryUnreachable', isCertain: false };
}

/** People choose image names and URLs, which may contain any of the words that the patterns look for. */
function withoutNames(text: string, image: string): string {
  const unquoted = text.replaceAll(/"[^"]*"/g, ' ').replaceAll(/https?:\/\/\S+/g, ' ');
  return image === '' ? unquoted : unquoted.replaceAll(image, ' ');
}
