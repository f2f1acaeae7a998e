import type { DocumentedRules } from './documentedRules';

/** Databases, queues and storage. */
export const databases: readonly DocumentedRules[] = [
  {
    source: 'https://github.com/opensearch-project/opensearch-k8s-operator/blob/main/docs/userguide/main.md',
    rules: `
OpenSearchCluster.opensearch.opster.io: current status.phase=RUNNING, not status.health=red`,
  },
  {
    source: 'https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/',
    rules: `
Cluster.postgresql.cnpg.io: failed status.phase=Cluster is unrecoverable and needs manual intervention; suspended /metadata/annotations/cnpg.io~1hibernation=on, /metadata/annotations/cnpg.io~1reconciliationLoop=disabled; current status.phase=Cluster in healthy state, status.readyInstances>=spec.instances, not condition Ready=False
Backup.postgresql.cnpg.io: failed status.phase=failed|walArchivingFailing; current status.phase=completed
Pooler.postgresql.cnpg.io: current status.instances>=spec.instances
Database|Publication|Subscription.postgresql.cnpg.io: current status.applied=true
ScheduledBackup|ImageCatalog|ClusterImageCatalog.postgresql.cnpg.io: current always`,
  },
  {
    source: 'https://github.com/zalando/postgres-operator/blob/master/pkg/apis/acid.zalan.do/v1/const.go',
    rules: `
postgresql.acid.zalan.do: failed status.PostgresClusterStatus=CreateFailed|UpdateFailed|SyncFailed|Invalid; current status.PostgresClusterStatus=Running
OperatorConfiguration|postgresteam.acid.zalan.do: current always`,
  },
  {
    source: 'https://docs.percona.com/percona-operator-for-mysql/pxc/operator.html',
    rules: `
PerconaXtraDBCluster.pxc.percona.com: suspended status.state=paused, spec.pause=true; current status.state=ready
PerconaServerMongoDB.psmdb.percona.com: suspended status.state=paused, spec.pause=true; current status.state=ready
PerconaServerMySQL.ps.percona.com: suspended status.state=paused, spec.pause=true; current status.state=ready
PerconaPGCluster.pgv2.percona.com: suspended status.state=paused, spec.pause=true; current status.state=ready
PerconaXtraDBClusterBackup|PerconaXtraDBClusterRestore.pxc.percona.com: failed status.state=Failed|Error; current status.state=Succeeded
PerconaServerMongoDBBackup|PerconaServerMongoDBRestore.psmdb.percona.com: failed status.state=error|rejected; current status.state=ready`,
  },
  {
    source: 'https://github.com/mariadb-operator/mariadb-operator/blob/main/api/v1alpha1/condition_types.go',
    rules: ['k8s.mariadb.com', 'mariadb.mmontes.io']
      .map(
        (group) => `
*.${group}: suspended spec.suspend=true; current condition Ready
Backup|PhysicalBackup|Restore|SqlJob.${group}: failed condition Complete=True|False reason JobFailed; suspended has spec.schedule, spec.suspend=true; current condition Complete`,
      )
      .join(''),
  },
  {
    source: 'https://github.com/minio/operator/blob/master/docs/tenant_crd.adoc',
    rules: `
Tenant.minio.min.io: current status.currentState=Initialized, not status.healthStatus=red
MinIOJob.job.min.io: failed status.phase=Error; current status.phase=Success
PolicyBinding.sts.min.io: current always`,
  },
  {
    source: 'https://rook.io/docs/rook/latest/CRDs/Cluster/ceph-cluster-crd/#cluster-status',
    rules: `
CephCluster.ceph.rook.io: failed status.phase=Failure; current status.phase=Ready|Connected, not status.state=Error|Creating|Updating, status.ceph.health=HEALTH_OK
*.ceph.rook.io: failed status.phase=Failure; current status.phase=Ready|Connected
ObjectBucketClaim|ObjectBucket.objectbucket.io: failed status.phase=Failed; current status.phase=Bound`,
  },
  {
    source: 'https://strimzi.io/docs/operators/latest/configuring.html#type-Condition-reference',
    rules: `
*.kafka.strimzi.io: suspended condition ReconciliationPaused; current condition Ready, not condition NotReady
KafkaNodePool.kafka.strimzi.io: current not condition NotReady
KafkaRebalance.kafka.strimzi.io: suspended condition ProposalReady, condition Stopped, condition ReconciliationPaused; current condition Ready
StrimziPodSet.core.strimzi.io: current has status, status.readyPods>=status.pods, status.currentPods>=status.pods`,
  },
  {
    source: 'https://www.rabbitmq.com/kubernetes/operator/using-operator#status-conditions',
    rules: `
RabbitmqCluster.rabbitmq.com: suspended /metadata/labels/rabbitmq.com~1pauseReconciliation=true; current condition AllReplicasReady, condition ClusterAvailable, condition ReconcileSuccess
*.rabbitmq.com: current condition Ready`,
  },
  {
    source: 'https://github.com/mongodb/mongodb-kubernetes/blob/master/docs/mongodbcommunity/README.md',
    rules: `
MongoDBCommunity.mongodbcommunity.mongodb.com: failed status.phase=Failed; current status.phase=Running
MongoDB|MongoDBMultiCluster|MongoDBUser.mongodb.com: failed status.phase=Failed; current status.phase=Running|Updated`,
  },
  {
    source: 'https://dev.mysql.com/doc/mysql-operator/en/mysql-operator-properties.html',
    rules: `
InnoDBCluster.mysql.oracle.com: current status.cluster.status=ONLINE`,
  },
  {
    source: 'https://docs.k8ssandra.io/components/cass-operator/',
    rules: `
CassandraDatacenter.cassandra.datastax.com: suspended spec.stopped=true; current status.cassandraOperatorProgress=Ready, condition Ready`,
  },
  {
    source: 'https://github.com/Altinity/clickhouse-operator/blob/master/docs/custom_resource_explained.md',
    rules: `
ClickHouseInstallation.clickhouse.altinity.com: failed status.status=Aborted; current status.status=Completed
ClickHouseKeeperInstallation.clickhouse-keeper.altinity.com: failed status.status=Aborted; current status.status=Completed`,
  },
  {
    source: 'https://kubernetes.io/docs/concepts/storage/volume-snapshots/',
    rules: `
VolumeSnapshot|VolumeSnapshotContent.snapshot.storage.k8s.io: current status.readyToUse=true`,
  },
  {
    source: 'https://apache.github.io/solr-operator/docs/solr-cloud/solr-cloud-crd.html',
    rules: `
SolrCloud.solr.apache.org: current status.readyReplicas>=spec.replicas, status.upToDateNodes>=spec.replicas`,
  },
  {
    source: 'https://www.elastic.co/docs/reference/cloud-on-k8s/api-docs',
    rules: `
Elasticsearch.elasticsearch.k8s.elastic.co: failed status.phase=Invalid; current status.phase=Ready, status.health=green
*.k8s.elastic.co: current status.health=green, status.availableNodes>=status.expectedNodes
StackConfigPolicy.stackconfigpolicy.k8s.elastic.co: failed status.phase=Invalid; current status.phase=Ready
ElasticsearchAutoscaler.autoscaling.k8s.elastic.co: current not condition Healthy=False`,
  },
];
