import { helmVersionExpected, parseHelmVersion, type HelmVersionWish } from '../helm/helmVersion';
import type { InputReader } from './inputs';

/** Where to get which Helm from. */
export interface HelmDownload {
  wish: HelmVersionWish;
  /** What the input holds. */
  given: string;
  /** The address of the folder with the archives, without a slash at its end. It may hold a user and a password. */
  site: string;
}

export const helmVersionDefaults = {
  helmVersion: '',
  helmDownloadUrl: 'https://get.helm.sh',
} as const;

/** Undefined if the pipeline asks for no version. */
export function readHelmDownload(read: InputReader): HelmDownload | undefined {
  const given = read.text('helmVersion');
  const parse = (text: string): HelmVersionWish | '' | undefined => (text === '' ? '' : parseHelmVersion(text));
  const wish = read.parsed('helmVersion', `${helmVersionExpected}, or nothing`, parse, '');
  const site = read.parsed('helmDownloadUrl', siteExpected, parseSite, '');
  return wish === '' ? undefined : { wish, given, site };
}

const siteExpected =
  'the https:// address of a folder with the archives of Helm and their .sha256sum files, without a query';

function parseSite(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, search, hash } = new URL(text);
  if (protocol !== 'https:' || search !== '' || hash !== '') return undefined;
  return text.endsWith('/') ? text.slice(0, -1) : text;
}
