import type { DeclaredKind } from './helm/chartCrds';
import type { FailureReason } from './failure';
import type { KubeObject, ObjectRef } from './kubernetes/object';
import type { FencePolicy, FenceRecord } from './helm/fence';
import type { KeptObject } from './release/preexisting';
import type { HelmProvenance, HelmCapabilities } from './helm/provenance';
import type { Rehearsal } from './helm/rehearsal';
import type { Revision } from './release/release';
import type { Redact } from './text/secrets';
import type { ApiResource, AccessRule } from './kubernetes/access';
import type { Rendering } from './release/unchanged';
import type { RecordChange } from './release/releaseRecord';
import type { ListQuery, FollowQuery, FollowSnapshot } from './kubernetes/queries';
import type { TimelineRow } from './rollout/timelineRow';

/** The time, and waiting for it. Every wait ends early, without an error, when `signal` aborts. */
export interface Clock {
  now(): Date;
  /** Milliseconds from some start on, never set back or forth: for how long something has been. */
  monotonicMs(): number;
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/**
 * The pipeline agent as a task sees it. Every text may hold anything that Helm, a chart or a pod has printed:
 * the adapter neutralises it, so that none of it can become a command of the agent.
 */
export interface Agent {
  /** Writes text to the log, line by line. */
  log(text: string): void;
  /** Writes text that only `system.debug` shows. */
  debug(text: string): void;
  startGroup(title: string): void;
  endGroup(): void;
  /** An issue of the run. The agent keeps the first ten of each kind of a step. */
  warning(message: string): void;
  error(message: string): void;
  /** Makes a row of the run's timeline below the step's own, or changes the one of that key. */
  timeline(row: TimelineRow): void;
  /** `own`: a digest, a path or a word that the task itself has made, which is nobody's text and not redacted. */
  setOutput(name: string, value: string, origin?: 'own'): void;
  /** A variable that the later phases of the same step (post-job) can read. */
  setTaskVariable(name: string, value: string): void;
  /**
   * Text with every secret of the job replaced by `***`. For text of others where it enters, whole: what is quoted, cut or
   * marked up no longer holds a secret in a form in which it is found.
   */
  readonly redact: Redact;
  /** Attaches a file to the run for the results tab, and answers where it lies. Redacts it first. Rejects when it cannot be written. */
  attach(attachmentType: string, name: string, content: string): Promise<string>;
  /** Adds Markdown to the run's summary page. Redacts it first. */
  uploadSummary(name: string, markdown: string): Promise<void>;
}

/** What a run of Helm came to. `stdout` is kept only where it was asked for. */
export interface HelmResult {
  ok: boolean;
  exitCode: number | undefined;
  signal: string | undefined;
  /** The run was ended because the caller's signal aborted. */
  cancelled: boolean;
  /** The run was ended because its time was over. */
  timedOut: boolean;
  /** Absent when `ok`. `message` is Helm's own last word, neutralised, without values. */
  failure?: { reason: FailureReason; message: string };
  stdout: string;
  durationMs: number;
  /** What the API server warns of the fields of the chart's objects, each once. Not among the lines that are shown. */
  fieldWarnings?: readonly string[];
}

/** What a dry run came to. */
export type Rendered = HelmResult & {
  rendering?: Rendering;
  /** Its lines, which are not in the log: whoever asks decides whether they belong there. They may hold anything. */
  said: readonly string[];
};

export interface UpgradeOptions {
  timeoutSeconds: number;
  wait: boolean;
  /** Only where it is not there: Helm 3 asks the API server to make it all the same, which takes a right of its own. */
  createNamespace: boolean;
}

export interface RollbackOptions {
  revision: number;
  timeoutSeconds: number;
  wait: boolean;
  /** Takes back fields that another field manager has set; only Helm 4 knows it, and only for server-side apply. */
  forceConflicts?: boolean;
  /** For the record of the new revision; only Helm 4.3 and later takes it, and of this only the first 256 characters. */
  description?: string;
  /** When it can only hang, and is ended. */
  endAfterSeconds: number;
}

/** Helm, one release that is there. All runs are asynchronous children; their output is streamed to the log. */
export interface ReleaseHelm {
  capabilities(signal: AbortSignal): Promise<HelmCapabilities>;
  /** Not signalled before it can only hang: Helm handles no signal here and leaves `pending-rollback` (measured). */
  rollback(options: RollbackOptions): Promise<HelmResult>;
  /** Never signalled: Helm would leave `uninstalling`. */
  uninstall(options: { timeoutSeconds: number }): Promise<HelmResult>;
}

/** Helm, one release and the chart that it is to have. */
export interface Helm extends ReleaseHelm {
  /**
   * Renders with a server-side dry run; the cluster is read, not changed. `assumed` are kinds that Helm then finds served,
   * as it will when the chart's own definitions of them are installed.
   */
  render(signal: AbortSignal, assumed?: readonly DeclaredKind[]): Promise<Rendered>;
  /** The kinds that the chart and its subcharts bring in their crds/ folders; undefined where Helm does not tell. */
  chartCrds(signal: AbortSignal): Promise<readonly DeclaredKind[] | undefined>;
  /** `signal` is forwarded at once as SIGINT: Helm then marks the revision failed (measured: within 20 ms). */
  upgrade(options: UpgradeOptions, signal: AbortSignal): Promise<HelmResult>;
}

/** The Helm of the step, as it plans and carries out a rollback. */
export interface RollbackHelm {
  /** Where the binary comes from. */
  provenance(signal: AbortSignal): Promise<HelmProvenance>;
  /** What it would do; nothing is changed. `records` are shown to it in place of those that Helm's storage has. */
  rehearse(target: RollbackTarget, records: readonly KubeObject[], signal: AbortSignal): Promise<Rehearsal>;
  /** For real, through the fence. Never signalled. With `lost` every further write is refused. */
  rollback(options: FencedRollback): Promise<{ result: HelmResult; fence: FenceRecord }>;
}

export type RollbackTarget = Pick<Revision, 'revision' | 'applyMethod'>;

export interface FencedRollback {
  target: RollbackTarget;
  /** For the record of the new revision, as far as this Helm takes it. */
  description: string;
  timeoutSeconds: number;
  /** When it can only hang, and is ended. */
  endAfterSeconds: number;
  wait: boolean;
  policy: FencePolicy;
  lost: AbortSignal;
}

/** Sees to it that no Helm outlives the lease that it works under; a process of its own. */
export interface Guard {
  /** The lease was renewed: how long ago that was begun. Where there is no lease: we are alive. */
  alive(ageMs: number): void;
}

/**
 * Keeps objects as they were before a deploy, all in one Secret of the release, whatever Helm's driver is: there may be
 * Secrets among them.
 */
export interface ObjectKeeper {
  /** What is kept already stays as it is. Answers with those that are too large to be kept beside the others. */
  keepObjects(objects: readonly KeptObject[]): Promise<readonly KeptObject[]>;
  keptObjects(): Promise<readonly KeptObject[]>;
  dropObjects(): Promise<void>;
}

/** Helm's own storage of one release in the cluster: Secrets or ConfigMaps. */
export interface ReleaseStorage extends ObjectKeeper {
  readonly kind: 'Secret' | 'ConfigMap';
  /** All revisions, oldest first. Empty when the release does not exist. */
  history(): Promise<Revision[]>;
  /**
   * Reads the record anew, changes it and writes it back with its resourceVersion (update, never patch: Helm's rights
   * suffice). `beforeWrite` is awaited between the two.
   */
  update(revision: number, change: RecordChange, beforeWrite?: () => Promise<void>): Promise<void>;
  /** The object that holds the record, as `update` would write it. */
  changed(revision: number, change: RecordChange): Promise<KubeObject>;
  /** Whether the API server takes the record with that change: a Secret or ConfigMap holds 1 MiB. */
  fits(revision: number, change: RecordChange): Promise<boolean>;
  remove(revision: number): Promise<void>;
  /** Copies the record as it is, to stay until `dropCopy` or until the record itself goes. An older copy stays as it is. */
  keepCopy(revision: number): Promise<void>;
  /** What `keepCopy` has kept; undefined where there is nothing. */
  copyOf(revision: number): Promise<Revision | undefined>;
  dropCopy(revision: number): Promise<void>;
}

export interface Follower {
  snapshot(): FollowSnapshot;
  /** Resolves when anything followed has changed since the last call returned, when `milliseconds` are over, or on abort. */
  changed(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Follows more; resolves when the first reading of it is there. */
  add(queries: readonly FollowQuery[]): Promise<void>;
  stop(): void;
}

/** The Kubernetes API. Everything is thrown as TaskError but «not found» of a read, which is `undefined`. */
export interface Cluster {
  /** `metadataOnly` as in a ListQuery. */
  get(ref: ObjectRef, options?: { metadataOnly?: boolean }): Promise<KubeObject | undefined>;
  /** What `keep` does not want is dropped as it arrives: there may be very many that are nobody's business here. */
  list(query: ListQuery, keep?: (object: KubeObject) => boolean): Promise<KubeObject[]>;
  /** `dryRun`: nothing is made. */
  create(object: KubeObject, options?: { fieldManager?: string; dryRun?: boolean }): Promise<KubeObject>;
  /** PUT with the object's resourceVersion; throws `Conflict` when somebody was faster. */
  update(object: KubeObject): Promise<KubeObject>;
  /** JSON merge patch. `dryRun`: nothing is changed. */
  patch(ref: ObjectRef, patch: unknown, options?: { dryRun?: boolean }): Promise<KubeObject>;
  /** A forced server-side apply: what the object declares is so afterwards, whoever has set it before. */
  apply(object: KubeObject, options: { fieldManager: string }): Promise<KubeObject>;
  /**
   * What the object would be after a forced server-side apply of what is given, in the API server's own spelling:
   * quantities, defaults, lists by their keys. Nothing is changed. What is not there is answered as it would be made.
   */
  dryRunApply(object: KubeObject, options: { fieldManager: string }): Promise<KubeObject>;
  /**
   * Whether a server-side apply without force would be done. Throws `Conflict` with the API server's words where another
   * field manager has set a field to something else (see core/release/fieldConflicts). Nothing is changed.
   */
  dryRunApplyUnforced(object: KubeObject, options: { fieldManager: string }): Promise<void>;
  delete(
    ref: ObjectRef,
    options?: { uid?: string; propagation?: 'Background' | 'Foreground' | 'Orphan' },
  ): Promise<void>;
  /** Whether the API server serves the kind, its plural, and whether it has namespaces. */
  resource(apiVersion: string, kind: string): Promise<ApiResource | undefined>;
  /** The kind that a person names in lower case, by kind or plural; without a group one of Kubernetes' own. */
  findResource(kind: string, group?: string): Promise<ApiResource | undefined>;
  /** The API server's own time, to the second: ages of its objects are counted by it. */
  serverTime(): Promise<Date>;
  /** What the caller may do in a namespace, as the API server tells it; undefined when it cannot tell all. */
  accessRules(namespace: string): Promise<readonly AccessRule[] | undefined>;
  follow(queries: readonly FollowQuery[], signal: AbortSignal): Promise<Follower>;
  podLog(ref: ContainerRef, options: PodLogOptions): Promise<string>;
  /** Gives each line of a log once, as it comes, until the container has ended or `signal` aborts. */
  followPodLog(ref: ContainerRef, options: FollowLogOptions, signal: AbortSignal): Promise<LogEnd>;
}

/** A container of the Pod `name`. */
export interface ContainerRef {
  namespace: string;
  name: string;
  container: string;
}

export interface PodLogOptions {
  previous: boolean;
  tailLines: number;
  limitBytes: number;
}

export interface FollowLogOptions {
  /** A line without its line break. It may hold anything. */
  onLine(line: string): void;
  /** The run before the present one, which has ended. */
  previous?: boolean;
  /** Where an earlier reading of the same container has ended: what it gave is not given again. */
  from?: LogPosition;
  /** What is longer is cut. */
  maxLineBytes?: number;
}

/** Where a log was read to. Plain data, good for `FollowLogOptions.from` alone. */
export interface LogPosition {
  sinceMs: number;
  seen: Readonly<Record<string, number>>;
}

/** `waiting`: the container has not started yet; `gone`: its pod is not there (any more). */
export interface LogEnd {
  end: 'ended' | 'waiting' | 'gone' | 'aborted';
  position: LogPosition;
}
