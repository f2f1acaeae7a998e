import type { DocumentedRules } from './documentedRules';

const inListeners = 'in status.listeners.*.conditions';
const inParents = 'in status.parents.*.conditions';
const inAncestors = 'in status.ancestors.*.conditions';

/** Gateways, routes and meshes. */
export const network: readonly DocumentedRules[] = [
  {
    source: 'https://gateway-api.sigs.k8s.io/reference/spec/',
    // A parent that is gone leaves its conditions, so one fresh Accepted is enough, but none may be false.
    rules: `
GatewayClass.gateway.networking.k8s.io: current condition Accepted
Gateway.gateway.networking.k8s.io: current condition Accepted, condition Programmed, not condition ResolvedRefs=False, not condition Accepted=False ${inListeners}, not condition Programmed=False ${inListeners}, not condition ResolvedRefs=False ${inListeners}, not condition Conflicted ${inListeners}
HTTPRoute|GRPCRoute|TLSRoute|TCPRoute|UDPRoute.gateway.networking.k8s.io: current one condition Accepted ${inParents}, not condition Accepted=False|Unknown ${inParents}, not condition ResolvedRefs=False ${inParents}, not condition Programmed=False ${inParents}
BackendTLSPolicy.gateway.networking.k8s.io: current one condition Accepted ${inAncestors}, not condition Accepted=False|Unknown ${inAncestors}, not condition ResolvedRefs=False ${inAncestors}
ReferenceGrant.gateway.networking.k8s.io: current always`,
  },
  {
    source: 'https://istio.io/latest/docs/reference/config/config-status/',
    // Istio writes a status only where the analysis is turned on.
    rules: `
*.istio.io: current not condition Reconciled=False
IstioOperator.install.istio.io: failed status.status=ERROR; current status.status=HEALTHY
Istio|IstioRevision|IstioCNI|ZTunnel.sailoperator.io: current condition Ready, condition Reconciled`,
  },
  {
    source: 'https://projectcontour.io/docs/main/config/api/',
    rules: `
HTTPProxy.projectcontour.io: suspended status.currentStatus=orphaned; current condition Valid
ExtensionService|TLSCertificateDelegation|ContourConfiguration.projectcontour.io: current condition Valid`,
  },
  {
    source: 'https://docs.solo.io/gloo-edge/latest/reference/api/github.com/solo-io/solo-kit/api/v1/status.proto.sk/',
    // States: 0 Pending, 1 Accepted, 2 Rejected, 3 Warning.
    rules: `
*.gateway.solo.io: failed status.state=2|Rejected, status.statuses.*.state=2|Rejected; current has status, not status.state=3|Warning, not status.statuses.*.state=3|Warning
*.gloo.solo.io: failed status.state=2|Rejected, status.statuses.*.state=2|Rejected; current has status, not status.state=3|Warning, not status.statuses.*.state=3|Warning`,
  },
  {
    source:
      'https://docs.openshift.com/container-platform/latest/rest_api/network_apis/route-route-openshift-io-v1.html',
    rules: `
Route.route.openshift.io: current condition Admitted in status.ingress.*.conditions`,
  },
  {
    source: 'https://docs.konghq.com/kubernetes-ingress-controller/latest/reference/custom-resources/',
    rules: `
KongPlugin|KongClusterPlugin|KongConsumer|KongUpstreamPolicy.configuration.konghq.com: current not condition Programmed=False`,
  },
  {
    source: 'https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/http/ingressroute/',
    // Traefik writes no status.
    rules: `
*.traefik.io: current always
*.traefik.containo.us: current always`,
  },
];
