import type { DocumentedRules } from './documentedRules';

/** Certificates, secrets and identities. */
export const certificates: readonly DocumentedRules[] = [
  {
    source: 'https://cert-manager.io/docs/reference/api-docs/',
    rules: `
Certificate.cert-manager.io: failed condition Issuing=False reason Failed|Denied|InvalidRequest; current condition Ready, not condition Issuing
Certificate.certmanager.k8s.io: current condition Ready
Issuer|ClusterIssuer.cert-manager.io: current condition Ready
Issuer|ClusterIssuer.certmanager.k8s.io: current condition Ready
CertificateRequest.cert-manager.io: failed condition Denied, condition InvalidRequest, condition Ready=False reason Failed|Denied; current condition Ready
Order|Challenge.acme.cert-manager.io: failed status.state=invalid|errored|expired; current status.state=valid
Bundle.trust.cert-manager.io: current condition Synced`,
  },
  {
    source: 'https://external-secrets.io/latest/api/spec/',
    rules: `
*.external-secrets.io: current condition Ready
*.generators.external-secrets.io: current always`,
  },
  {
    source: 'https://github.com/bitnami-labs/sealed-secrets/blob/main/pkg/apis/sealedsecrets/v1alpha1/types.go',
    // The controller can be told to write no status.
    rules: `
SealedSecret.bitnami.com: current condition Synced; wait 2m`,
  },
  {
    source: 'https://www.keycloak.org/operator/basic-deployment',
    rules: `
Keycloak.k8s.keycloak.org: current condition Ready, not condition HasErrors
KeycloakRealmImport.k8s.keycloak.org: failed condition HasErrors; current condition Done`,
  },
  {
    source: 'https://developer.1password.com/docs/k8s/operator/',
    rules: `
OnePasswordItem.onepassword.com: current condition Ready`,
  },
];
