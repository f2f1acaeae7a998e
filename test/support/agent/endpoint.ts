import { randomUUID } from 'node:crypto';
import { environmentName } from './variables';

/** A service connection as the server hands it to the agent. */
export interface ServiceConnection {
  /** A GUID in lower case. The default is a random one. */
  readonly id?: string;
  readonly name: string;
  /** `kubernetes`, `azurerm` and so on: the text after `connectedService:` in the input's type. */
  readonly type?: string;
  readonly url: string;
  readonly scheme: string;
  readonly auth: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
}

export interface Endpoint {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  url: string;
  readonly scheme: string;
  readonly auth: Record<string, string>;
  readonly data: Record<string, string>;
}

/** The id by which tasks find the access token of the job. */
export const systemConnectionId = 'SYSTEMVSSCONNECTION';

export function toEndpoint(connection: ServiceConnection): Endpoint {
  return {
    id: (connection.id ?? randomUUID()).toLowerCase(),
    name: connection.name,
    type: connection.type ?? '',
    url: connection.url,
    scheme: connection.scheme,
    auth: { ...connection.auth },
    data: { ...connection.data },
  };
}

export function systemConnection(collectionUri: string, accessToken: string): Endpoint {
  return {
    id: systemConnectionId,
    name: 'SystemVssConnection',
    type: '',
    url: collectionUri,
    scheme: 'OAuth',
    auth: { AccessToken: accessToken },
    data: {},
  };
}

/** The ENDPOINT_* variables of one connection. The system connection has no ENDPOINT_DATA_*. */
export function endpointEnvironment(endpoint: Endpoint): Record<string, string> {
  const { id, url, scheme, auth, data } = endpoint;
  const environment: Record<string, string> = {
    [`ENDPOINT_URL_${id}`]: url,
    [`ENDPOINT_AUTH_${id}`]: JSON.stringify({ parameters: auth, scheme }),
    [`ENDPOINT_AUTH_SCHEME_${id}`]: scheme,
  };
  for (const [key, value] of Object.entries(auth)) {
    environment[`ENDPOINT_AUTH_PARAMETER_${id}_${environmentName(key)}`] = value;
  }
  if (id === systemConnectionId) return environment;
  environment[`ENDPOINT_DATA_${id}`] = JSON.stringify(data);
  for (const [key, value] of Object.entries(data)) environment[`ENDPOINT_DATA_${id}_${environmentName(key)}`] = value;
  return environment;
}
