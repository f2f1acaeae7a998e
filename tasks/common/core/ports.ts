import type { DeclaredKind } from './helm/chartCrds';
import type { KubeObject, ObjectRef } from './kubernetes/object';
import type { FencePolicy, FenceRecord } from './helm/fence';
import type { KeptObject } from './release/preexisting';
import type { HelmProvenance, HelmCapabilities } from './helm/provenance';
import type { Rehearsal } from './helm/rehearsal';
import type { KeptField } from './release/keptFields';
import type { Revision } from './release/release';
import type { TestFilter } from './release/tests';
import type { Redact } from './text/secrets';
import type { ApiResource, AccessRule } from './kubernetes/access';
import type { Rendering } from './release/unchanged';
import type { RecordChange } from './release/releaseRecord';
import type { ListQuery, FollowChanges, FollowQuery, FollowSnapshot } from './kubernetes/queries';
import type { Reading } from './metrics/answer';
import type { MetricSource } from './metrics/metric';
import type { TimelineRow } from './rollout/timelineRow';
import type { HelmFailure } from './helm/helmFailure';

/** Waits end early, without an error, when `signal` aborts. */
export interface Clock {
  now(): Date;
  /** Milliseconds since an arbitrary start. Nobody sets this clock, so it measures durations. */
  monotonicMs(): number;
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** The pipeline agent. The adapter neutralises every text, so that no foreign text becomes a command of the agent. */
export interface Agent {
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
  /** A value with the origin `own` (a digest, a path or a word of the task) is not redacted. */
  setOutput(name: string, value: string, origin?: 'own'): void;
  /** Sets a variable for the post-job phase of the same step. */
  setTaskVariable(name: string, value: string): void;
  /** Replaces every secret by `***`. Redact foreign text before it is quoted or cut: half a secret is hard to find. */
  readonly redact: Redact;
  /** Attaches redacted content for the results tab and returns its path. Rejects if it cannot be written. */
  attach(attachmentType: string, name: string, content: string): Promise<string>;
  /** Redacts the Markdown and adds it to the summary page of the run. */
  uploadSummary(name: string, markdown: string): Promise<void>;
}

/** `stdout` is kept only if the caller asked for it. */
export interface HelmResult {
  ok: boolean;
  exitCode: number | undefined;
  signal: string | undefined;
  cancelled: boolean;
  timedOut: boolean;
  /** Absent if `ok`. `message` is Helm's own last error, neutralised and without values. */
  failure?: HelmFailure;
  stdout: string;
  durationMs: number;
  /** Warnings of the API server about fields, each once. They are not in the log. */
  fieldWarnings?: readonly string[];
}

export type Rendered = HelmResult & {
  rendering?: Rendering;
  /** The lines that Helm printed, which are not in the log. They may hold anything. */
  said: readonly string[];
};

export interface TestOptions {
  /** The timeout of all tests together. */
  timeoutSeconds: number;
  filter: TestFilter;
  /** Aborts when the lock is lost. */
  lost: AbortSignal;
}

/** The changes that Helm made in a rehearsal of an upgrade. */
export interface RehearsedUpgrade {
  rehearsal: Rehearsal;
  /** The revision that Helm made; absent if Helm stopped before that. */
  revision?: Revision;
}

interface UpgradeOptions {
  timeoutSeconds: number;
  wait: boolean;
  /** Set only for a missing namespace: Helm 3 sends the request in any case, and it needs a right of its own. */
  createNamespace: boolean;
  /** Where there are such fields, Helm runs behind a gateway. */
  kept: readonly KeptField[];
  /** Aborts when the lock is lost. */
  lost: AbortSignal;
  /** Takes over fields of other field managers. For Helm 4 with server-side apply only. */
  forceConflicts?: boolean;
}

export interface RollbackOptions {
  revision: number;
  timeoutSeconds: number;
  wait: boolean;
  /** Takes over fields of other field managers. For Helm 4 with server-side apply only. */
  forceConflicts?: boolean;
  /** For the record of the new revision. Helm 4.3 and later takes it and cuts it at 256 characters. */
  description?: string;
  /** Helm counts as hanging after this time and is ended. */
  endAfterSeconds: number;
}

interface UninstallOptions {
  timeoutSeconds: number;
  /** Helm keeps the records, and the last one becomes `uninstalled`. */
  keepHistory?: boolean;
}

/** Helm for one existing release. Helm's output is streamed to the log. */
export interface ReleaseHelm {
  capabilities(signal: AbortSignal): Promise<HelmCapabilities>;
  /** Sends no signal before `endAfterSeconds`: Helm would ignore it and leave `pending-rollback` (measured). */
  rollback(options: RollbackOptions): Promise<HelmResult>;
  /** Never sends a signal: Helm would leave `uninstalling`. */
  uninstall(options: UninstallOptions): Promise<HelmResult>;
}

/** Helm for one release and the chart to deploy. */
export interface Helm extends ReleaseHelm {
  /**
   * Renders with a server-side dry run. Helm treats the kinds in `assumed` as served, and reads `records` instead of
   * those in its storage.
   */
  render(signal: AbortSignal, assumed?: readonly DeclaredKind[], records?: readonly KubeObject[]): Promise<Rendered>;
  /**
   * Runs the upgrade, or the install, without hooks and without crds/ against a gateway that turns each write into a
   * server-side dry run. Nothing is changed.
   */
  rehearse(
    staging: { records: readonly KubeObject[]; assumed: readonly DeclaredKind[]; kept: readonly KeptField[] },
    signal: AbortSignal,
  ): Promise<RehearsedUpgrade>;
  /** The kinds in the crds/ folders of the chart and its subcharts; undefined if Helm does not list them. */
  chartCrds(signal: AbortSignal): Promise<readonly DeclaredKind[] | undefined>;
  /** The definitions in the crds/ folders of the chart and of those subcharts that are switched on. */
  crds(signal: AbortSignal): Promise<readonly KubeObject[]>;
  /** An abort of `signal` reaches Helm as SIGINT; Helm then marks the revision failed (measured: within 20 ms). */
  upgrade(options: UpgradeOptions, signal: AbortSignal): Promise<HelmResult>;
  /**
   * Runs the tests of the last revision. `stdout` is kept. An abort of `signal` ends Helm at once, and a test that it
   * has begun runs on (measured). With a filter, Helm's record stays as it is.
   */
  test(options: TestOptions, signal: AbortSignal): Promise<HelmResult>;
}

/** Asks metrics servers. */
export interface MetricsPort {
  /** Asks once, and takes at most some seconds. A server that does not answer is a reading too. */
  read(source: MetricSource, signal: AbortSignal): Promise<Reading>;
}

export interface RollbackHelm {
  provenance(signal: AbortSignal): Promise<HelmProvenance>;
  /** Nothing is changed. */
  rehearse(target: HelmTarget, scene: RehearsalScene, signal: AbortSignal): Promise<Rehearsal>;
  /** Runs Helm through the fence, and without signals. Once `lost` aborts, the fence refuses every write. */
  rollback(options: FencedRollback): Promise<{ result: HelmResult; fence: FenceRecord }>;
}

export interface RehearsalScene {
  /** Helm reads these instead of the records in its storage. */
  records: readonly KubeObject[];
  kept: readonly KeptField[];
}

type HelmTarget = Pick<Revision, 'revision' | 'applyMethod'>;

export interface FencedRollback {
  target: HelmTarget;
  description: string;
  timeoutSeconds: number;
  endAfterSeconds: number;
  wait: boolean;
  policy: FencePolicy;
  kept: readonly KeptField[];
  lost: AbortSignal;
}

/** A process that makes sure that no Helm outlives the lease under which it works. */
export interface Guard {
  /** Reports that this task is alive. With a lease, `ageMs` is the time since the last renewal began. */
  alive(ageMs: number): void;
}

/** Keeps objects as they were before a deploy in one Secret of the release, because they may include Secrets. */
export interface ObjectKeeper {
  /** Does not overwrite kept objects. Returns the objects that are too large to be kept beside the others. */
  keepObjects(objects: readonly KeptObject[]): Promise<readonly KeptObject[]>;
  keptObjects(): Promise<readonly KeptObject[]>;
  dropObjects(): Promise<void>;
}

/** Helm's own storage of one release in the cluster. */
export interface ReleaseStorage extends ObjectKeeper {
  readonly kind: 'Secret' | 'ConfigMap';
  /** All revisions, oldest first. */
  history(): Promise<Revision[]>;
  /** Reads, changes and writes the record. Never sends a patch, because Helm's rights may not include it. */
  update(revision: number, change: RecordChange, beforeWrite?: () => Promise<void>): Promise<void>;
  /** Returns the object that `update` would write. */
  changed(revision: number, change: RecordChange): Promise<KubeObject>;
  /** Returns true if the changed record fits into its Secret or ConfigMap, which holds at most 1 MiB. */
  fits(revision: number, change: RecordChange): Promise<boolean>;
  remove(revision: number): Promise<void>;
  /** The files in the crds/ folder of the revision's chart, without those of subcharts, which Helm does not store. */
  crdFiles(revision: number): Promise<readonly string[]>;
  /** Copies the record, unless a copy exists. The copy goes with the record. */
  keepCopy(revision: number): Promise<void>;
  copyOf(revision: number): Promise<Revision | undefined>;
  dropCopy(revision: number): Promise<void>;
}

export interface Follower {
  snapshot(): FollowSnapshot;
  /** The first call returns all objects. */
  changes(): FollowChanges;
  /** Resolves when an object has changed since the last call returned, after `milliseconds`, or on abort. */
  changed(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Resolves when the first reading of the new objects has arrived. */
  add(queries: readonly FollowQuery[]): Promise<void>;
  stop(): void;
}

/** The Kubernetes API. Every failure is a TaskError, except «not found» of a read, which gives `undefined`. */
export interface Cluster {
  get(ref: ObjectRef, options?: { metadataOnly?: boolean }): Promise<KubeObject | undefined>;
  /** Drops objects that `keep` rejects on arrival. */
  list(query: ListQuery, keep?: (object: KubeObject) => boolean): Promise<KubeObject[]>;
  create(object: KubeObject, options?: { fieldManager?: string; dryRun?: boolean }): Promise<KubeObject>;
  /** Throws `Conflict` if the object's resourceVersion is outdated. */
  update(object: KubeObject): Promise<KubeObject>;
  /** Sends a JSON merge patch. */
  patch(ref: ObjectRef, patch: unknown, options?: { dryRun?: boolean }): Promise<KubeObject>;
  /** Sends a forced server-side apply. */
  apply(object: KubeObject, options: { fieldManager: string }): Promise<KubeObject>;
  /** Returns the result of a forced server-side apply, normalised by the API server, without any change. */
  dryRunApply(object: KubeObject, options: { fieldManager: string }): Promise<KubeObject>;
  /** Throws `Conflict` if a server-side apply without force would fail on fields of another field manager. */
  dryRunApplyUnforced(object: KubeObject, options: { fieldManager: string }): Promise<void>;
  delete(ref: ObjectRef, options?: { uid?: string }): Promise<void>;
  /** Returns undefined if the API server does not serve the kind. */
  resource(apiVersion: string, kind: string): Promise<ApiResource | undefined>;
  /**
   * All custom kinds that can be listed, each in its preferred version; undefined if the API server cannot list them in
   * one answer (before 1.27).
   */
  customKinds(): Promise<readonly ApiResource[] | undefined>;
  /**
   * All kinds whose objects lie in a namespace, and can be listed and deleted; undefined if the API server cannot list
   * the kinds in one answer (before 1.27), or if a part of it does not answer.
   */
  namespacedKinds(): Promise<readonly ApiResource[] | undefined>;
  /** Finds a kind by its lower-case name or plural. Without a group, only the built-in kinds are searched. */
  findResource(kind: string, group?: string): Promise<ApiResource | undefined>;
  /** The API server's own time, to the second, for the ages of objects. */
  serverTime(): Promise<Date>;
  /** The rights of the caller in a namespace; undefined if the API server cannot list them all. */
  accessRules(namespace: string): Promise<readonly AccessRule[] | undefined>;
  follow(queries: readonly FollowQuery[], signal: AbortSignal): Promise<Follower>;
  podLog(ref: ContainerRef, options: PodLogOptions): Promise<string>;
  /** Passes each line on once, until the container has ended or `signal` aborts. */
  followPodLog(ref: ContainerRef, options: FollowLogOptions, signal: AbortSignal): Promise<LogEnd>;
}

export interface ContainerRef {
  namespace: string;
  name: string;
  container: string;
}

export interface PodLogOptions {
  previous: boolean;
  tailLines: number;
  limitBytes: number;
  /** Begins each line with the time at which the kubelet got it. */
  timestamps?: boolean;
}

export interface FollowLogOptions {
  /** Gets a line without its line break. */
  onLine(line: string): void;
  /** True for the log of the container's previous run. */
  previous?: boolean;
  /** Lines before this position are not passed on. */
  from?: LogPosition;
  /** Longer lines are cut. */
  maxLineBytes?: number;
}

/** How far a log was read, for `FollowLogOptions.from`. */
export interface LogPosition {
  sinceMs: number;
  seen: Readonly<Record<string, number>>;
}

/** `waiting`: the container has not started yet. `gone`: its pod does not exist. */
export interface LogEnd {
  end: 'ended' | 'waiting' | 'gone' | 'aborted';
  position: LogPosition;
}
