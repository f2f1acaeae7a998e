import { advice, type FailureReason } from '../failure';
import { ownWords } from '../text/foreignWords';

type Words = (groups: Readonly<Record<string, string>>) => string;

/** The first row that matches the message counts, or else the general advice of the reason. */
export const specialAdvice: readonly (readonly [FailureReason, RegExp, string | Words])[] = [
  [
    'HookFailed',
    / already exists\b/,
    'Delete the object that an earlier run of the hook has left, or give the hook the annotation helm.sh/hook-delete-policy: before-hook-creation, so that Helm deletes it.',
  ],
  [
    'HookFailed',
    /denied (?:the )?request:\s| is forbidden: | is invalid: | cannot be handled as a |failed calling webhook/,
    'The API server refused the hook, so it did not run; the answer above gives the reason. Helm did nothing after it.',
  ],
  [
    'ApplyRejected',
    /denied (?:the )?request:\s/,
    'A policy of the cluster refuses the object. Change the object as the answer above asks, or ask the owner of the policy for an exception.',
  ],
  [
    'ApplyRejected',
    /failed calling webhook|conversion webhook for .{0,300} failed/,
    'A webhook of the cluster does not answer, so the API server refuses the change. Its owner has to repair it; its name is above. Nothing is wrong with the chart.',
  ],
  [
    'ApplyRejected',
    /Namespace "(?<name>[^"]*)" in namespace "" exists and cannot be imported/,
    ({ name }) =>
      `The chart declares a namespace that exists already and does not belong to this release. Remove the Namespace from the chart (the input createNamespace creates a missing one), or give it to the release: takeOwnership: true, or the label and the annotations named above (kubectl label namespace ${name}, kubectl annotate namespace ${name}). Do not delete it: everything in it would be deleted too.`,
  ],
  [
    'ChartInvalid',
    /would delete namespace /,
    'Nothing was changed. Keep the namespace as described above, then run the step again.',
  ],
  [
    'ApplyRejected',
    /exists and cannot be imported.*"meta\.helm\.sh\/release-name" must equal "(?<release>[^"]*)": current value is "(?<owner>[^"]*)"/s,
    ({ owner }) =>
      `The object belongs to the release ${owner}. Give it another name in one of the two charts, or take it out of the chart of ${owner} and deploy that release before this one; takeOwnership: true takes the object away from ${owner} if takeOwnershipFrom names it.`,
  ],
  [
    'ApplyRejected',
    /exists and cannot be imported.*"meta\.helm\.sh\/release-namespace" must equal "[^"]*": current value is "(?<owner>[^"]*)"/s,
    ({ owner }) =>
      `The object belongs to a release of the same name in namespace ${owner}. Give it another name in one of the two, or remove it there first; takeOwnership: true takes it away from there if takeOwnershipFrom names ${owner} and the release.`,
  ],
  [
    'ApplyRejected',
    /exists and cannot be imported.*"app\.kubernetes\.io\/managed-by" must equal "Helm": current value is "(?<owner>[^"]*)"/s,
    ({ owner }) =>
      `The object is managed by ${owner}, not by Helm. Take it out of the chart or out of ${owner}, or give it another name; takeOwnership: true makes it part of this release.`,
  ],
  [
    'ApplyRejected',
    /exists and cannot be imported/,
    'Helm did not create the object, so it belongs to somebody else. Give it another name in the chart, or delete it if nobody needs it; takeOwnership: true makes it part of this release.',
  ],
  [
    'ApplyRejected',
    / already exists\b/,
    'The chart declares this object twice, or somebody else created it at the same moment. Remove one of the two from the chart (`helm template` shows both), or run the step again.',
  ],
  [
    'ApplyRejected',
    /with the name ".{0,300}" (?:not )?found/,
    'The object is in the cluster, but not in the last revision of the release: the chart declares it twice, or somebody created it with the marks of this release. Remove one of the two from the chart, or delete the object if nobody needs it.',
  ],
  [
    'ApplyRejected',
    /field is immutable|may not change once set|is immutable|updates to \S+ spec for fields other than|may not be changed|cannot be changed/,
    'The field named above cannot be changed while the object exists. Undo that change in the chart, give the object another name, or delete the object before the next deploy. Until that deploy, nothing of it runs.',
  ],
  ['ApplyRejected', /exceeded quota: /, 'Raise the ResourceQuota named above, or lower what the chart requests.'],
  [
    'ApplyRejected',
    /Too long: |[Rr]equest entity too large|request is too large/,
    'The object is larger than the API server accepts (1 MiB for a ConfigMap or a Secret). Split it, or keep the data somewhere else.',
  ],
  [
    'ApplyRejected',
    /field not declared in schema|unknown field|: expected \w[^\n]{0,80}, got | cannot be handled as a |cannot unmarshal|unable to convert unstructured|duplicate entries for key|in body must be of type/,
    'The object does not fit the schema of its kind: correct the field named above in the chart or its values.',
  ],
  [
    'ChartInvalid',
    /resource name may not be empty|(?<!chart\.metadata\.)name is required|name or generateName is required|generateName/,
    'Give each object of the chart a fixed metadata.name: Helm finds its objects by their names, so generateName works in hooks only.',
  ],
  [
    'ChartInvalid',
    /missing in charts\/ directory|lock file \(Chart\.lock\) is out of sync/,
    'Run `helm dependency update` and commit Chart.lock and charts/, or set the input dependencyUpdate to true.',
  ],
  [
    'ChartNotFound',
    /no repository definition for|no cached repository for/,
    'Add the repository in an earlier step (`helm repo add`), or give its full URL in the dependencies of Chart.yaml.',
  ],
  [
    'ChartAccessDenied',
    /403 Forbidden|(?:code|answered) 403\b|requested access to the resource is denied/,
    'The server of the chart knows the login, or needs none, and does not allow it to read this chart. Give the login the right to read it, or another one in containerRegistry or chartRepositoryConnection.',
  ],
  [
    'ChartSourceUnreachable',
    /\b429\b|toomanyrequests|too many requests/i,
    'The server of the chart answers only so many requests in a time. Give a login in containerRegistry or chartRepositoryConnection, use a mirror, or run the step again later.',
  ],
  [
    'ChartSourceUnreachable',
    /x509|tls: |certificate/,
    'Give the agent the certificate authority of your network (config --sslcacert, the variable Agent.CAInfo), or name its file in the variable SSL_CERT_FILE, or in --ca-file in the input arguments.',
  ],
  [
    'CredentialsRejected',
    /connection of the input azureSubscription/,
    'Do what the message above says, then run the step again.',
  ],
  [
    'CertificateRejected',
    /(?:the sign-in server|Azure Resource Manager|Azure DevOps) \S+ is not trusted/,
    'Give the agent the certificate authority of your network (config --sslcacert, the variable Agent.CAInfo): the task uses it for Azure, Azure DevOps, downloads and Helm.',
  ],
  [
    'ClusterUnreachable',
    /^The cluster .{1,80} is stopped|^The DNS of the agent does not know /,
    'Do what the message above says, then run the step again.',
  ],
  [
    'CredentialsRejected',
    /executable \S+ not found|is not installed on this agent/,
    'Install the credential plug-in named above on the agent in an earlier step, or use a service connection that needs none.',
  ],
  [
    'CredentialsRejected',
    /[Cc]redential plug-in|getting credentials: exec: /,
    'The credential plug-in named above failed and returned no credentials; its output is above. Run it on the agent to see the same error.',
  ],
  ['ClusterUnreachable', /the API server answered (429|502|503|504)\b/, advice.TransientFailure],
  [
    'ApplyRejected',
    /database space exceeded/,
    'The API server can store nothing, because its database (etcd) is full. The owner of the cluster has to free space in it.',
  ],
  [
    'TimedOut',
    /still there after .*being deleted since|is not gone after .*being deleted since/s,
    'Find out why what is named above does not end: a finalizer waits for its controller, which may be gone or may not have the right to go on. Remove a finalizer by hand only if nothing needs it. Then run the step again.',
  ],
  [
    'HelmFailed',
    /SIGKILL/,
    'Something killed Helm: on a small agent, the kernel does so when memory runs out. Use an agent with more memory, or run less beside the step.',
  ],
];

/** `message` may quote foreign text. */
export function adviceFor(reason: FailureReason, message: string): string {
  const own = ownWords(message);
  for (const [of, pattern, words] of specialAdvice) {
    if (of !== reason) continue;
    const match = pattern.exec(own);
    if (match !== null) return typeof words === 'string' ? words : words(match.groups ?? {});
  }
  return advice[reason];
}
