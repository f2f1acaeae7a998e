/** What people know a revision by. Texts that are not known are empty. */
export interface RevisionNames {
  revision: number;
  status: string;
  /** `name version` */
  chart: string;
  appVersion: string;
  /** RFC 3339 */
  deployedAt: string;
  /** For example `run 20260820.3`. */
  deployedBy: string;
}

export function revisionText(names: RevisionNames): string {
  const what = [names.chart, names.appVersion === '' ? '' : `application ${names.appVersion}`];
  const when = names.deployedAt === '' ? '' : ` at ${withoutFraction(names.deployedAt)}`;
  const who = names.deployedBy === '' ? '' : ` by ${names.deployedBy}`;
  const deployed = when === '' && who === '' ? '' : `deployed${when}${who}`;
  const status = names.status === 'deployed' && deployed !== '' ? '' : names.status;
  return [`${names.revision}`, ...what, status, deployed].filter((part) => part !== '').join(', ');
}

export function withoutFraction(time: string): string {
  return time.replace(/\.\d+/, '');
}
