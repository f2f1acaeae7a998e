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

/** The clock: it gives the time and waits. Every wait ends early, without an error, when `signal` aborts. */
export interface Clock {
  now(): Date;
  /** Milliseconds since an arbitrary start. This clock is never set, so use it to measure durations. */
  monotonicMs(): number;
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/**
 * The pipeline agent as a task sees it. Texts may hold anything that Helm, a chart or a pod has printed. The adapter
 * neutralises every text, so that none can become a command of the agent.
 */
export interface Agent {
  /** Writes text to the log, line by line. */
  log(text: string): void;
  /** Writes text that only `system.debug` shows. */
  debug(text: string): void;
  startGroup(title: string): void;
  endGroup(): void;
  /** Adds an issue to the run. The agent keeps the first ten issues of each kind per step. */
  warning(message: string): void;
  error(message: string): void;
  /** Adds a row to the run's timeline below the row of the step, or changes the row that has the same key. */
  timeline(row: TimelineRow): void;
  /** Origin `own` marks a digest, a path or a word that the task itself has made; such a value is not redacted. */
  setOutput(name: string, value: string, origin?: 'own'): void;
  /** Sets a variable that the post-job phase of the same step can read. */
  setTaskVariable(name: string, value: string): void;
  /**
   * Replaces every secret of the job by `***`. Redact foreign text as soon as it arrives and while it is whole: once
   * text is quoted, cut or marked up, a secret in it can no longer be found.
   */
  readonly redact: Redact;
  /**
   * Redacts the content, attaches it to the run as a file for the results tab, and returns the path of the file.
   * Rejects if the file cannot be written.
   */
  attach(attachmentType: string, name: string, content: string): Promise<string>;
  /** Redacts the Markdown and adds it to the summary page of the run. */
  uploadSummary(name: string, markdown: string): Promise<void>;
}

/** The result of one run of Helm. `stdout` is kept only if the caller asked for it. */
export interface HelmResult {
  ok: boolean;
  exitCode: number | undefined;
  signal: string | undefined;
  /** True if the run was ended because the caller's signal aborted. */
  cancelled: boolean;
  /** True if the run was ended because its timeout passed. */
  timedOut: boolean;
  /** Absent if `ok`. `message` is Helm's own last error, neutralised and without values. */
  failure?: { reason: FailureReason; message: string };
  stdout: string;
  durationMs: number;
  /** Warnings of the API server about fields of the chart's objects, each once. The log does not show these lines. */
  fieldWarnings?: readonly string[];
}

/** The result of a dry run. */
export type Rendered = HelmResult & {
  rendering?: Rendering;
  /**
   * The lines that Helm printed. They are not in the log; the caller decides whether to log them. They may hold
   * anything.
   */
  said: readonly string[];
};

interface UpgradeOptions {
  timeoutSeconds: number;
  wait: boolean;
  /**
   * Set only if the namespace is missing: Helm 3 sends the create request even for an existing namespace, and that
   * request needs a right of its own.
   */
  createNamespace: boolean;
}

export interface RollbackOptions {
  revision: number;
  timeoutSeconds: number;
  wait: boolean;
  /**
   * Takes over fields that another field manager has set. Only Helm 4 knows this flag, and only for server-side apply.
   */
  forceConflicts?: boolean;
  /**
   * The description in the record of the new revision. Only Helm 4.3 and later takes a description, and only its first
   * 256 characters.
   */
  description?: string;
  /** The time after which Helm is considered to hang and is ended. */
  endAfterSeconds: number;
}

/** Helm for one existing release. All runs are asynchronous children; their output is streamed to the log. */
export interface ReleaseHelm {
  capabilities(signal: AbortSignal): Promise<HelmCapabilities>;
  /**
   * Helm gets no signal before `endAfterSeconds`: a rollback handles no signal and would leave `pending-rollback`
   * (measured).
   */
  rollback(options: RollbackOptions): Promise<HelmResult>;
  /** Helm never gets a signal here: it would leave `uninstalling`. */
  uninstall(options: { timeoutSeconds: number }): Promise<HelmResult>;
}

/** Helm for one release and the chart to deploy. */
export interface Helm extends ReleaseHelm {
  /**
   * Renders with a server-side dry run, which reads the cluster and changes nothing. Helm treats the kinds in `assumed`
   * as served, as they will be once the chart's own definitions are installed.
   */
  render(signal: AbortSignal, assumed?: readonly DeclaredKind[]): Promise<Rendered>;
  /** The kinds that the chart and its subcharts define in their crds/ folders; undefined if Helm does not list them. */
  chartCrds(signal: AbortSignal): Promise<readonly DeclaredKind[] | undefined>;
  /**
   * An abort of `signal` reaches Helm at once as SIGINT; Helm then marks the revision failed (measured: within 20 ms).
   */
  upgrade(options: UpgradeOptions, signal: AbortSignal): Promise<HelmResult>;
}

/** The Helm of the step, used to plan and to execute a rollback. */
export interface RollbackHelm {
  /** Finds out where the Helm binary comes from. */
  provenance(signal: AbortSignal): Promise<HelmProvenance>;
  /** Runs the rollback as a rehearsal, which changes nothing. Helm reads `records` instead of those in its storage. */
  rehearse(target: RollbackTarget, records: readonly KubeObject[], signal: AbortSignal): Promise<Rehearsal>;
  /**
   * Runs the rollback for real, through the fence. Helm never gets a signal. Once `lost` aborts, the fence refuses
   * every further write.
   */
  rollback(options: FencedRollback): Promise<{ result: HelmResult; fence: FenceRecord }>;
}

type RollbackTarget = Pick<Revision, 'revision' | 'applyMethod'>;

export interface FencedRollback {
  target: RollbackTarget;
  /** The description in the record of the new revision, for the Helm versions that take one. */
  description: string;
  timeoutSeconds: number;
  /** The time after which Helm is considered to hang and is ended. */
  endAfterSeconds: number;
  wait: boolean;
  policy: FencePolicy;
  lost: AbortSignal;
}

/** Makes sure that no Helm outlives the lease under which it works. The guard is a process of its own. */
export interface Guard {
  /** Tells the guard that this task is alive. With a lease, `ageMs` is the time since the last renewal was begun. */
  alive(ageMs: number): void;
}

/**
 * Keeps objects as they were before a deploy. All of them are in one Secret of the release, whatever Helm's driver is,
 * because they may include Secrets.
 */
export interface ObjectKeeper {
  /**
   * Leaves objects that are already kept as they are. Returns the objects that are too large to be kept beside the
   * others.
   */
  keepObjects(objects: readonly KeptObject[]): Promise<readonly KeptObject[]>;
  keptObjects(): Promise<readonly KeptObject[]>;
  dropObjects(): Promise<void>;
}

/** Helm's own storage of one release in the cluster: Secrets or ConfigMaps. */
export interface ReleaseStorage extends ObjectKeeper {
  readonly kind: 'Secret' | 'ConfigMap';
  /** All revisions, oldest first. Empty if the release does not exist. */
  history(): Promise<Revision[]>;
  /**
   * Reads the record again, changes it and writes it back with its resourceVersion. The write is an update and never a
   * patch, so Helm's rights suffice. `beforeWrite` is awaited between the read and the write.
   */
  update(revision: number, change: RecordChange, beforeWrite?: () => Promise<void>): Promise<void>;
  /** Returns the object that holds the record, as `update` would write it. */
  changed(revision: number, change: RecordChange): Promise<KubeObject>;
  /** Returns true if the changed record fits into its object: a Secret or ConfigMap holds at most 1 MiB. */
  fits(revision: number, change: RecordChange): Promise<boolean>;
  remove(revision: number): Promise<void>;
  /**
   * Copies the record. The copy stays until `dropCopy` or until the record is removed. An earlier copy is not
   * overwritten.
   */
  keepCopy(revision: number): Promise<void>;
  /** The copy that `keepCopy` made, or undefined if there is none. */
  copyOf(revision: number): Promise<Revision | undefined>;
  dropCopy(revision: number): Promise<void>;
}

export interface Follower {
  snapshot(): FollowSnapshot;
  /** Resolves when any followed object has changed since the last call returned, after `milliseconds`, or on abort. */
  changed(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Follows more objects; resolves when their first reading has arrived. */
  add(queries: readonly FollowQuery[]): Promise<void>;
  stop(): void;
}

/**
 * The Kubernetes API. Every failure is thrown as a TaskError, except «not found» of a read, which gives `undefined`.
 */
export interface Cluster {
  /** `metadataOnly` works as in a ListQuery. */
  get(ref: ObjectRef, options?: { metadataOnly?: boolean }): Promise<KubeObject | undefined>;
  /** Drops objects that `keep` rejects as they arrive, because a list may hold many unrelated objects. */
  list(query: ListQuery, keep?: (object: KubeObject) => boolean): Promise<KubeObject[]>;
  /** With `dryRun`, nothing is created. */
  create(object: KubeObject, options?: { fieldManager?: string; dryRun?: boolean }): Promise<KubeObject>;
  /** Sends a PUT with the object's resourceVersion; throws `Conflict` if another writer was faster. */
  update(object: KubeObject): Promise<KubeObject>;
  /** Sends a JSON merge patch. With `dryRun`, nothing is changed. */
  patch(ref: ObjectRef, patch: unknown, options?: { dryRun?: boolean }): Promise<KubeObject>;
  /**
   * Sends a forced server-side apply: afterwards every declared field has the declared value, whoever set it before.
   */
  apply(object: KubeObject, options: { fieldManager: string }): Promise<KubeObject>;
  /**
   * Returns what the object would be after a forced server-side apply, without any change. The API server normalises
   * the result: quantities, defaults, list items by their keys. A missing object is returned as it would be created.
   */
  dryRunApply(object: KubeObject, options: { fieldManager: string }): Promise<KubeObject>;
  /**
   * Checks whether a server-side apply without force would succeed; changes nothing. Throws `Conflict` with the words
   * of the API server if another field manager has set a field to another value (see core/release/fieldConflicts).
   */
  dryRunApplyUnforced(object: KubeObject, options: { fieldManager: string }): Promise<void>;
  delete(
    ref: ObjectRef,
    options?: { uid?: string; propagation?: 'Background' | 'Foreground' | 'Orphan' },
  ): Promise<void>;
  /** The plural of the kind and its scope; undefined if the API server does not serve the kind. */
  resource(apiVersion: string, kind: string): Promise<ApiResource | undefined>;
  /** Finds a kind by its lower-case name or plural. Without a group, only Kubernetes' own kinds are searched. */
  findResource(kind: string, group?: string): Promise<ApiResource | undefined>;
  /** The API server's own time, to the second. Compute the ages of objects from this time. */
  serverTime(): Promise<Date>;
  /**
   * The rights of the caller in a namespace, as the API server lists them; undefined if the API server cannot list them
   * all.
   */
  accessRules(namespace: string): Promise<readonly AccessRule[] | undefined>;
  follow(queries: readonly FollowQuery[], signal: AbortSignal): Promise<Follower>;
  podLog(ref: ContainerRef, options: PodLogOptions): Promise<string>;
  /** Passes each line of a log on once, as it arrives, until the container has ended or `signal` aborts. */
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
  /** Reads the log of the container's previous run. */
  previous?: boolean;
  /** The position at which an earlier reading of the same container ended; lines before it are not passed on again. */
  from?: LogPosition;
  /** Longer lines are cut. */
  maxLineBytes?: number;
}

/** The position up to which a log was read. Plain data, meant only for `FollowLogOptions.from`. */
export interface LogPosition {
  sinceMs: number;
  seen: Readonly<Record<string, number>>;
}

/** `waiting`: the container has not started yet. `gone`: its pod does not exist (any more). */
export interface LogEnd {
  end: 'ended' | 'waiting' | 'gone' | 'aborted';
  position: LogPosition;
}
