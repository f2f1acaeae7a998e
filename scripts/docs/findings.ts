import type { FindingCode, findingRules } from '../../tasks/common/core/rollbackPlan/model/findings';

interface FindingText {
  what: string;
}

interface AdvisedFindingText extends FindingText {
  /** What a person should do next. A note needs nothing. */
  next: string;
}

type FindingTexts = Readonly<{
  [Code in FindingCode]: (typeof findingRules)[Code]['severity'] extends 'note' ? FindingText : AdvisedFindingText;
}>;

export const findingTexts: FindingTexts = {
  ReleaseMissing: {
    what: 'There is no such release in the namespace.',
    next: 'Check `releaseName` and `namespace`.',
  },
  TargetMissing: {
    what: 'No earlier revision is a safe target. For a plain workload: its controller keeps no earlier revision.',
    next: 'Name a revision in `toRevision`, or deploy a version that is known to work.',
  },
  RevisionMissing: {
    what: 'The release never had a revision with that number.',
    next: 'Look at `helm history` and correct `toRevision`.',
  },
  RevisionPruned: {
    what: "The revision is no longer in Helm's history, or its controller no longer keeps it.",
    next: 'Deploy that version again. A larger `historyMax` (`revisionHistoryLimit` of a workload) keeps more revisions.',
  },
  RevisionIsPresent: {
    what: 'The revision is the one that serves now.',
    next: 'Name an earlier revision in `toRevision`.',
  },
  RevisionUnhealthy: {
    what: 'The target failed, was judged unhealthy, or was never completed, whatever its status is now. Only a target named by number can be let through.',
    next: 'Choose another revision, or set `allowUnverifiedTarget` if you know that this one works.',
  },
  RevisionUninstalled: {
    what: 'The release was uninstalled after that revision.',
    next: 'Deploy that version again.',
  },
  UnverifiedTarget: { what: 'The target was deployed, and no mark says that it was ever seen healthy.' },
  VerifiedNoLonger: {
    what: 'A newer revision than the target was seen healthy once, but it, or another revision with its manifest, was judged unhealthy by a cause of its own later.',
  },
  TargetKnownBad: {
    what: 'A run has judged the pods of this earlier revision of a plain workload unhealthy, and none has seen them healthy since.',
    next: 'Use `toRevision: verified`, or name another revision.',
  },
  ReleasePending: {
    what: 'Another Helm is still changing the release, or was killed while it did.',
    next: 'Find out whether that run is still alive before you approve.',
  },
  HistoryIncomplete: {
    what: 'Records of revisions after the target are gone or cannot be read. They may contain an irreversible step.',
    next: 'Find out what these revisions changed before you approve.',
  },
  ManifestUnreadable: {
    what: 'A manifest in the history is not YAML. Helm cannot read it either.',
    next: 'Choose another target, or deploy a version that is known to work.',
  },
  RemovedApi: {
    what: 'The target has objects of custom kinds that the API server does not serve.',
    next: 'Install the definitions of these kinds again, or choose another target.',
  },
  RemovedApiInPresent: {
    what: 'The present revision has objects of such kinds, and Helm must read it to roll back from it.',
    next: 'Install the definitions of these kinds again, or deploy a version without them.',
  },
  RenewedApi: {
    what: 'A record names an API version that is gone. The task writes the served version into it before Helm rolls back.',
  },
  OmittedApi: {
    what: 'A record names a kind of Kubernetes that is no longer served. The task removes these objects from it before Helm rolls back.',
    next: 'Check that nothing needs these objects any more.',
  },
  WorkloadMissing: { what: 'There is no such workload.', next: 'Check `workloads` and `namespace`.' },
  WorkloadPaused: {
    what: 'The Deployment is paused, so its pods would not change. With `allow` the rollback resumes it.',
    next: 'Ask whoever has paused it, then resume it or allow it.',
  },
  KindUnsupported: {
    what: 'Only Deployments, StatefulSets and DaemonSets keep earlier revisions.',
    next: 'Take the workload out of `workloads`, and deploy its earlier version instead.',
  },
  RehearsalFailed: {
    what: 'The rehearsal failed, and the rollback would fail too.',
    next: "Read Helm's error in the finding, and correct what it names.",
  },
  RehearsalMissing: {
    what: 'The rollback was not rehearsed.',
    next: 'Read the reason in the finding, correct it, and make a new plan.',
  },
  DeletesTargetObject: {
    what: 'Helm deletes an object of the target. This version of Helm does so if an API version or group has changed, or the binary was tampered with.',
    next: 'Use the newest version of Helm, or deploy the earlier version of the chart instead.',
  },
  UnforeseenWrite: {
    what: 'In the rehearsal, Helm wrote to an object that no revision since the target declares, or to a subresource (a scale, a token), or the result differed from the target.',
    next: 'Find out which plug-in, webhook or Helm does this. Use a Helm of the official release.',
  },
  UnforeseenDeletion: {
    what: 'In the rehearsal, Helm deleted an object that no revision since the target declares, or one of its own records.',
    next: 'Use a Helm of the official release.',
  },
  WriteRefused: {
    what: 'The API server refuses a write of the rehearsal.',
    next: 'Read its answer in the finding: a right, a policy or a field stands in the way.',
  },
  PredictionDiffers: {
    what: 'The rehearsal and the rules of that version of Helm do not agree.',
    next: 'Look at the objects that the finding names before you approve.',
  },
  DeletesPersistentVolumeClaim: {
    what: 'A claim is deleted, or a StatefulSet that deletes its claims.',
    next: 'Make a backup of the data before you allow it.',
  },
  DeletesPersistentVolume: { what: 'A volume is deleted.', next: 'Make a backup of the data before you allow it.' },
  DeletesNamespace: {
    what: 'A namespace is deleted, with everything in it.',
    next: 'Look at all that is in the namespace before you allow it.',
  },
  DeletesCustomResourceDefinition: {
    what: 'A definition is deleted, with all objects of its kind.',
    next: 'Look at the objects of its kind, which the plan lists, before you allow it.',
  },
  DeletesCustomResource: {
    what: 'A custom resource is deleted. Its operator may delete what it manages for it.',
    next: 'Find out what its operator deletes with it before you allow it.',
  },
  TooManyDeletions: {
    what: 'More objects are deleted than `maxDeletions` allows.',
    next: 'Read the list of deletions. If all of them are meant, raise `maxDeletions` or allow it.',
  },
  OwnedByAnother: {
    what: 'An object that is taken over or deleted belongs to another release now.',
    next: 'Find out who owns the object before you allow it.',
  },
  TakesOverUnowned: {
    what: 'An object that is taken over belongs to no release.',
    next: 'Find out who has made the object before you approve.',
  },
  PodsHeldBack: {
    what: 'Pods would keep the template of the present revision: the Deployment is paused, the StatefulSet has a partition, or it or a DaemonSet updates on delete.',
    next: 'Resume the rollout, or allow it; see below for what the task then does.',
  },
  BeingDeleted: {
    what: 'The deletion of an object of the target has begun. It cannot be undone, whatever Helm writes to the object.',
    next: 'Wait until it is gone, and make a new plan.',
  },
  IrreversibleStep: {
    what: 'A revision that is left behind carries `helm-safe-deploy/irreversible`, in its Chart.yaml or on one of its objects.',
    next: 'Check that the target works with what that step did, then name the revision in `allowIrreversible`.',
  },
  PossibleMigration: {
    what: 'Jobs ran as upgrade hooks of a revision that is left behind.',
    next: 'Check that the target works with the schema of the database as it is now.',
  },
  HooksNotRehearsed: { what: 'Hooks of the target run, and cannot be rehearsed.' },
  JobMayRunAgain: {
    what: 'A Job that is removed some time after it has ended runs again if that happens before the rollback.',
  },
  HelmUnknown: {
    what: 'The Helm binary is not a known release.',
    next: 'Use an official release of Helm, pin the binary with `helmSha256`, or set `allowUnknownHelm`.',
  },
  HelmNotPinned: {
    what: 'The Helm binary is not the one that `helmSha256` pins.',
    next: 'Find out who has changed the Helm of the agent, or correct `helmSha256`.',
  },
  HelmNewer: {
    what: 'The Helm binary is newer than the versions that the task knows.',
    next: 'Update this extension when you can.',
  },
  DriftUndone: {
    what: 'Somebody changed a field after it was deployed, and the rollback sets it again.',
    next: 'Ask whether the change by hand is still needed.',
  },
  ScalesDown: {
    what: 'An autoscaler has scaled a workload up, and the rollback sets the smaller number of the target.',
    next: 'Leave the number of replicas out of a chart whose workload an autoscaler scales.',
  },
  ReplicasUnderAutoscaler: {
    what: 'The target declares replicas of a workload that an autoscaler scales. Where the autoscaler has set more, its number is kept.',
  },
  ClaimKeepsSize: {
    what: 'A claim is larger than the target declares it. It keeps its size, because the API server does not shrink a claim.',
  },
  ClaimTemplatesDiffer: {
    what: 'The claim templates of a StatefulSet differ, and cannot be changed.',
    next: 'Check that the target works with the claims as they are.',
  },
  ClaimsDiffer: {
    what: 'A claim of a StatefulSet differs from the target, and the rollback does not change it.',
    next: 'Check that the target works with the claim as it is.',
  },
  StatefulSetTrap: {
    what: 'A StatefulSet will not replace pods that are not ready (kubernetes#67250).',
    next: 'Set `allowPodDelete`, or delete these pods by hand after the rollback.',
  },
  Orphaned: { what: 'Objects of earlier revisions remain that no manifest declares any more.' },
  OwnedByHelm: {
    what: 'A plain workload belongs to a release, and the record of the release will not show the rollback.',
    next: 'Roll the release back instead: use `releaseName` in place of `workloads`.',
  },
  Controlled: {
    what: 'A plain workload is controlled by something that may undo the rollback.',
    next: 'Roll back where the workload is declared, in the resource that controls it.',
  },
  NotForeseen: {
    what: 'The plan of a deploy cannot show what becomes of some objects: their namespace, or the definition of their kind, does not exist yet.',
  },
  NewAtEachDeploy: {
    what: 'Two renderings of the chart differ in these fields: passwords, certificates or names that the chart makes up. The digest of the plan does not cover them.',
  },
  FirstInstall: { what: 'The release does not exist yet, and the deploy installs it.' },
  AfterFailure: {
    what: 'The last revision failed, or its run died. The deploy also removes what it has left.',
  },
  InstalledAgain: {
    what: 'The first install of the release died. The deploy removes what it has left, and installs the release again.',
    next: 'Check that nobody needs the objects of that install.',
  },
  QuotaUse: { what: 'A ResourceQuota counts what the deploy changes, and has room for it.' },
  QuotaExceeded: {
    what: 'A ResourceQuota has no room for the pods of the deploy, so some of them will not be created.',
    next: 'Raise the quota, or deploy fewer or smaller pods.',
  },
};
