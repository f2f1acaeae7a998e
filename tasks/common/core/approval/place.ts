import type { RunRecord } from './runRecords';

/** The place of this step in its run, from variables of the agent. */
export interface OwnPlace {
  /** `System.JobId`: the id of the job's record. */
  jobId?: string;
  /** `System.StageName`. */
  stage?: string;
  /** `System.PhaseName`: the job in the YAML, which all legs of a matrix share. */
  phase?: string;
}

/** If `stage` is absent, the timeline has no stages. */
export interface OwnRecords {
  stage?: RunRecord;
  phase?: RunRecord;
  job?: RunRecord;
}

export interface Timeline {
  records: readonly RunRecord[];
  /** Undefined if the parents of the record lead to no stage. */
  stageOf(record: RunRecord): RunRecord | undefined;
  jobOf(record: RunRecord): RunRecord | undefined;
  /** The job and stage of the record for people. */
  placeOf(record: RunRecord): string;
  newest(isWanted: (record: RunRecord) => boolean): RunRecord[];
}

export function timelineOf(records: readonly RunRecord[]): Timeline {
  const byId = new Map(records.map((record) => [record.id, record]));
  const ancestor = (record: RunRecord, type: string): RunRecord | undefined => {
    const seen = new Set<string>();
    for (let at: RunRecord | undefined = record; at !== undefined && !seen.has(at.id);) {
      if (at.type === type) return at;
      seen.add(at.id);
      at = at.parentId === undefined ? undefined : byId.get(at.parentId);
    }
    return undefined;
  };
  const stageOf = (record: RunRecord): RunRecord | undefined => ancestor(record, 'Stage');
  return {
    records,
    stageOf,
    jobOf: (record) => ancestor(record, 'Job'),
    placeOf: (record) => {
      const [stage, job] = [stageOf(record), ancestor(record, 'Job')];
      const words = [job && `job ${shownName(job)}`, stage && isNamed(stage) && `stage ${shownName(stage)}`];
      return words.filter((word) => typeof word === 'string').join(' of ');
    },
    newest: (isWanted) => {
      const wanted = records.filter(isWanted);
      return wanted.filter((record) => !wanted.some((other) => isLaterAttempt(other, record)));
    },
  };
}

/** A rerun of a stage has records with new ids and the same identifiers. */
function isLaterAttempt(other: RunRecord, record: RunRecord): boolean {
  return other.attempt > record.attempt && record.identifier !== undefined && other.identifier === record.identifier;
}

/** Azure DevOps gives a pipeline without stages one stage with this name. */
function isNamed({ identifier, name }: RunRecord): boolean {
  return (identifier ?? name) !== '__default';
}

export function shownName({ name, identifier }: RunRecord): string {
  return name || identifier || 'without a name';
}

/** Returns undefined if the timeline does not show this step's stage. */
export function findOwnRecords(timeline: Timeline, place: OwnPlace): OwnRecords | undefined {
  const job = timeline.records.find(({ id, type }) => type === 'Job' && id === place.jobId?.toLowerCase());
  const stages = timeline.newest(({ type }) => type === 'Stage');
  const stage =
    (job && timeline.stageOf(job)) ??
    stages
      .filter((each) => isCalled(each, place.stage))
      .sort((one, other) => one.attempt - other.attempt)
      .at(-1);
  if (stage === undefined) return stages.length === 0 ? { ...(job && { job }) } : undefined;
  const phases = timeline.newest((each) => each.type === 'Phase' && timeline.stageOf(each) === stage);
  const phase = phases.find((each) => (job === undefined ? isCalled(each, place.phase) : each.id === job.parentId));
  return { stage, ...(phase && { phase }), ...(job && { job }) };
}

/** `identifier` holds the name in the YAML (of a job: after the stage's name), `name` the name on the page. */
function isCalled({ identifier, refName, name }: RunRecord, wanted: string | undefined): boolean {
  if (wanted === undefined || wanted === '') return false;
  const names = [identifier, identifier?.split('.').at(-1), refName, identifier === undefined ? name : undefined];
  return names.some((each) => each?.toLowerCase() === wanted.toLowerCase());
}
