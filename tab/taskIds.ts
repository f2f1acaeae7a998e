import ids from '../tasks/ids.json';

/** In lower case, as the timeline is read. */
export const taskIds: ReadonlySet<string> = new Set(Object.values(ids).map((id) => id.toLowerCase()));
