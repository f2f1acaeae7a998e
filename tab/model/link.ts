/** What a link addresses: a report of the run, and an object in it. */
export interface Place {
  report: string;
  object: string;
}

/** The query parameter of the run's page that holds a place. */
export const placeParameter = 'rollout';

const separator = '~';

export function placeText({ report, object }: Place): string {
  return object === '' ? report : `${report}${separator}${object}`;
}

const placeLimit = 1024;

export function readPlace(text: string | undefined): Place | undefined {
  if (text === undefined || text === '' || text.length > placeLimit) return undefined;
  const [report = '', object = ''] = text.split(separator);
  return { report, object };
}

interface Page {
  /** The address of the organization, with a slash at its end. */
  base: string;
  project: string;
  buildId: number;
  contributionId: string;
}

/** The address of a place on the run's page, or empty if the host did not tell enough. */
export function addressOf({ base, project, buildId, contributionId }: Page, place: Place | undefined): string {
  if (!/^https?:\/\//.test(base) || project === '' || contributionId === '') return '';
  const query = new URLSearchParams({ buildId: String(buildId), view: contributionId });
  if (place !== undefined) query.set(placeParameter, placeText(place));
  return `${base}${encodeURIComponent(project)}/_build/results?${query.toString()}`;
}
